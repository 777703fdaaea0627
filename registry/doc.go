// Package registry keeps OCI images on disk and moves them from and to
// registries, so that everything above it sees an image as a checked
// configuration and a list of layers to read.
//
// A Store is an OCI image layout (image-spec, image-layout.md): blobs under
// blobs/sha256, what they are called in index.json. Manifests are kept byte for
// byte as the registry served them, so that the digests users see are the
// registry's. The talk with registries is containers/image's.
//
// Errors carry a class of github.com/containerd/errdefs: NotFound,
// InvalidArgument, Conflict, Unauthenticated, Unavailable (the registry does not
// answer), DataLoss (content that does not match its digest),
// ResourceExhausted (the disk is full), NotImplemented.
package registry
