#!/bin/sh
# publish.sh VERSION MODELS: copies a version, such as models/phdnet_sa/3, to the model's
# folder in a folder of models, MODELS/phdnet_sa/3. A server that polls it sees the whole
# version or none: it is copied to a name that is no number, checked, and renamed.
set -eu
version=$(cd "$1" && pwd)
number=$(basename "$version")
model=$(basename "$(dirname "$version")")
target=$2/$model/$number
incoming=$2/$model/.incoming-$number-$$

if [ -e "$target" ]; then
  echo "$target exists. Versions do not change; export a new one." >&2
  exit 1
fi
if [ ! -f "$version/SHA256SUMS" ]; then
  echo "$1 is no version of a model: SHA256SUMS is missing." >&2
  exit 1
fi
trap 'rm -rf "$incoming"' EXIT
mkdir -p "$2/$model"
cp -R "$version" "$incoming"
# As many files as are listed, or the list was cut off.
if ! (cd "$incoming" && sha256sum --check --quiet --strict SHA256SUMS &&
  [ "$(find . -type f ! -name SHA256SUMS | wc -l)" -eq "$(wc -l < SHA256SUMS)" ]); then
  echo "$version is damaged, and was not published. Export or copy it again." >&2
  exit 1
fi
sync  # or a power cut could leave the name without the files
mv -T -n "$incoming" "$target"
if [ -e "$incoming" ]; then  # not moved, which some versions of mv do not tell
  echo "$target exists. Versions do not change; export a new one." >&2
  exit 1
fi
echo "$target"
