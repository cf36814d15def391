# The operator alone: one static executable, run as nobody, in an image with nothing else in it. There is no base image
# to pull and nothing in here is built; `make image` builds the executable first, and then this:
#
#   make image                                   # target/image/security-baseline-operator.tar, an OCI archive
#   docker build --tag … target/image/context    # or by hand, once `make image` made the context
FROM scratch
ARG VERSION
LABEL org.opencontainers.image.title="security-baseline-operator" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY security-baseline-operator LICENSE THIRD-PARTY.txt /
USER 65532:65532
ENTRYPOINT ["/security-baseline-operator"]
