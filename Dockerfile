# SPDX-License-Identifier: Apache-2.0
# The image: Tracehound, Python and the libraries they need, below /opt/tracehound; no shell, no compiler.
#   docker build -t tracehound .                                   or podman, or buildah bud
#   docker build --build-arg EXTRAS=metrics,otlp,store -t tracehound:store .
#   make image                                                     without a daemon, without a pull (deploy/image.py)
# BASE: Debian 12 or newer, or Ubuntu 24.04. Nothing of it but the files that bundle.py copies gets into the image.
ARG BASE=debian:12-slim
FROM ${BASE} AS build
RUN apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends \
        binutils clang llvm make libbpf-dev libelf-dev libbpf1 patchelf python3 python3-venv ca-certificates
WORKDIR /src
COPY . .
RUN python3 -m venv /venv && /venv/bin/python -m pip install -q 'cyclonedx-python-lib>=8' && \
    make -C kprobes PYTHON=/venv/bin/python
ARG EXTRAS=metrics,otlp,kafka,s3,clickhouse
RUN /venv/bin/python deploy/bundle.py /image/opt/tracehound --extras "$EXTRAS" && \
    sh deploy/rootfs.sh /image

FROM scratch
COPY --from=build /image /
ENV PATH=/opt/tracehound/bin SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt
LABEL org.opencontainers.image.title=tracehound \
      org.opencontainers.image.description="Runtime security and forensics agent for Linux and Kubernetes" \
      org.opencontainers.image.licenses=Apache-2.0
STOPSIGNAL SIGTERM
ENTRYPOINT ["/opt/tracehound/bin/tracehound"]
CMD ["run", "--output", "none"]
