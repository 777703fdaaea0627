#!/usr/bin/env bash
# Makes a keychain with the identity to sign with and the notary's key, for a machine that is thrown away afterwards.
# Reads CERTIFICATE (base64 of a .p12), CERTIFICATE_PASSWORD, NOTARY_KEY (a .p8), NOTARY_KEY_ID and NOTARY_ISSUER.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
umask 077

keychain=skerry.keychain-db
password=$(openssl rand -hex 24)
security create-keychain -p "$password" "$keychain"
security set-keychain-settings -lut 7200 "$keychain"
security unlock-keychain -p "$password" "$keychain"
base64 --decode <<<"$CERTIFICATE" >"$work/identity.p12"
security import "$work/identity.p12" -k "$keychain" -P "$CERTIFICATE_PASSWORD" -T /usr/bin/codesign
# Without this codesign asks in a window.
security set-key-partition-list -S apple-tool:,apple: -s -k "$password" "$keychain" >/dev/null
security list-keychains -d user -s "$keychain" login.keychain-db

printf '%s\n' "$NOTARY_KEY" >"$work/notary.p8"
xcrun notarytool store-credentials skerry --key "$work/notary.p8" --key-id "$NOTARY_KEY_ID" --issuer "$NOTARY_ISSUER"
