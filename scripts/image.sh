#!/bin/sh
# Lays out the files of the image in the given folder, from what `setup.sh ebpf` has made: image.sh FOLDER
set -eu
cd "$(dirname "$0")/.."
out=$1/causeway
mkdir -p "$out/build/bpf" "$out/scripts" "$out/node_modules/.bin" "$1/usr/local/bin"
# the link's target: in the image there is one build only
cp -rL build/bundle "$out/build/bundle"
cp build/causeway-cni "$out/build/"
# executed by its name: docs/cluster-access.md
cp build/causeway-api-relay "$1/usr/local/bin/"
cp build/bpf/datapath.bpf.o build/bpf/trace.bpf.o "$out/build/bpf/"
cp scripts/run.sh "$out/scripts/"
# without symbols it is a fifth smaller
strip -o "$out/node_modules/.bin/node" "$(readlink -f node_modules/.bin/node)"
cp -r node_modules/koffi node_modules/@koromix "$out/node_modules/"
# package.json says which version it is
cp LICENSE package.json "$out/"
printf '#!/bin/sh\nexec sh /causeway/scripts/run.sh build/bundle/causeway.cjs "$@"\n' >"$1/usr/local/bin/causeway"
chmod +x "$1/usr/local/bin/causeway"
