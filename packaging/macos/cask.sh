#!/usr/bin/env bash
# Prints the Homebrew cask of a release.
#
#   packaging/macos/cask.sh VERSION ARM64_DMG INTEL_DMG
set -euo pipefail
[ $# = 3 ] || { echo "usage: cask.sh VERSION ARM64_DMG INTEL_DMG" >&2; exit 2; }
version=${1#v}
arm=$(sha256sum "$2") intel=$(sha256sum "$3")
cat <<END
cask "skerry" do
  arch arm: "arm64", intel: "x86_64"

  version "$version"
  sha256 arm:   "${arm%% *}",
         intel: "${intel%% *}"

  url "https://github.com/skerry-app/skerry/releases/download/v#{version}/Skerry-#{version}-#{arch}.dmg"
  name "Skerry"
  desc "Containers, each in its own lightweight virtual machine"
  homepage "https://github.com/skerry-app/skerry"

  depends_on macos: ">= :ventura"

  app "Skerry.app"
  binary "#{appdir}/Skerry.app/Contents/MacOS/skerry"
  bash_completion "#{appdir}/Skerry.app/Contents/Resources/completions/skerry.bash"
  zsh_completion "#{appdir}/Skerry.app/Contents/Resources/completions/_skerry"
  fish_completion "#{appdir}/Skerry.app/Contents/Resources/completions/skerry.fish"

  uninstall quit:       "dev.skerry.Skerry",
            login_item: "Skerry"

  zap trash: "~/Library/Application Support/Skerry"
end
END
