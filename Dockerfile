# The node of docker-compose.yml: the program holdfast on Debian 12.
#
# DEBIAN and DEBIAN_SLIM name the images that it begins with. Packages that are in them already are not asked for, so
# that a machine without a registry can build with images of its own (tests/cluster/images).
ARG DEBIAN=debian:12
ARG DEBIAN_SLIM=debian:bookworm-slim

FROM ${DEBIAN} AS build
LABEL holdfast.stage=build
WORKDIR /src
COPY scripts/install-packages scripts/
RUN scripts/install-packages build
COPY CMakeLists.txt CMakePresets.json LICENSE ./
COPY cmake cmake
COPY include include
COPY core core
COPY lockers lockers
COPY cli cli
RUN cmake --preset release --log-level=WARNING \
 && cmake --build --preset release --target holdfast -- --quiet \
 && install -s -D build/release/holdfast /out/holdfast

FROM ${DEBIAN_SLIM} AS node
COPY scripts/install-packages /tmp/
RUN /tmp/install-packages run && rm -rf /tmp/install-packages /var/lib/apt/lists/* \
 && useradd --uid 1000 --create-home holdfast \
 && install -d -o holdfast -g holdfast /data
COPY --from=build /out/holdfast /usr/local/bin/
COPY packaging/compose/demo /usr/local/bin/holdfast-demo
USER holdfast
WORKDIR /data
ENV HOLDFAST_STORE=/data/store
CMD ["holdfast-demo"]
