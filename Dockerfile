# The image of agents and controller: docker build -t NAME .   docs/install.md says how it is used.
FROM node:26-bookworm-slim AS build
WORKDIR /source
COPY package.json package-lock.json .npmrc LICENSE ./
COPY native native
COPY scripts scripts
COPY src src
COPY web web
# installs what is missing, then builds plugin, eBPF programs and bundle, as a clone does
RUN sh scripts/setup.sh ebpf && sh scripts/image.sh /image

FROM debian:12-slim
# what the base has not: the one library that the pinned Node needs, and the one that loads eBPF programs
RUN apt-get update && apt-get install -y --no-install-recommends libatomic1 libbpf1 && rm -rf /var/lib/apt/lists/*
COPY --from=build /image /
ENTRYPOINT ["/usr/local/bin/causeway"]
