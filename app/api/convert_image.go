package api

import (
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/image"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/skerry-app/skerry/registry"
)

// unknownCount is Docker's value for a number that was not worked out.
const unknownCount = -1

func toImageSummary(img registry.Image) image.Summary {
	return image.Summary{
		ID:          img.ID.String(),
		Created:     max(img.Created.Unix(), 0), // the zero time is before 1970
		Containers:  unknownCount,
		SharedSize:  unknownCount,
		Size:        img.Size,
		Labels:      nonNilMap(img.Labels),
		RepoTags:    nonNil(img.Names),
		RepoDigests: nonNil(img.RepoDigests),
	}
}

func toImageInspect(img registry.Image, config ocispec.Image) image.InspectResponse {
	in := image.InspectResponse{
		ID:           img.ID.String(),
		RepoTags:     nonNil(img.Names),
		RepoDigests:  nonNil(img.RepoDigests),
		Author:       config.Author,
		Config:       &dockerspec.DockerOCIImageConfig{ImageConfig: config.Config},
		Architecture: config.Architecture,
		Variant:      config.Variant,
		Os:           config.OS,
		OsVersion:    config.OSVersion,
		Size:         img.Size,
		RootFS:       image.RootFS{Type: config.RootFS.Type},
	}
	if config.Created != nil {
		in.Created = config.Created.Format(time.RFC3339Nano)
	}
	for _, d := range config.RootFS.DiffIDs {
		in.RootFS.Layers = append(in.RootFS.Layers, d.String())
	}
	return in
}

// toHistory lists how an image was made, newest first, with the compressed
// sizes of its layers.
func toHistory(img registry.Image, config ocispec.Image, layers []registry.Layer) []image.HistoryResponseItem {
	list := make([]image.HistoryResponseItem, len(config.History))
	for i, h := range config.History {
		item := image.HistoryResponseItem{ID: "<missing>", CreatedBy: h.CreatedBy, Comment: h.Comment}
		if h.Created != nil {
			item.Created = h.Created.Unix()
		}
		if !h.EmptyLayer && len(layers) > 0 {
			item.Size, layers = layers[0].Size, layers[1:]
		}
		list[len(list)-1-i] = item
	}
	if len(list) > 0 {
		list[0].ID, list[0].Tags = img.ID.String(), nonNil(img.Names)
	}
	return list
}
