# The image of reaper: a virtual environment with bytecode on a slim Debian, one numeric user, nothing to build with.
# docs/container.md says how it is built, run and upgraded.

# Any Debian-like image with Python 3.11 or newer and its venv module. Pin a digest here for builds that must repeat.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS build
# uv verifies the hash of each package against uv.lock; its own is in tools/uv.txt.
# Behind a mirror or a private certificate authority, the secrets of the RUN lines below hand in what pip and uv need
# to know; they are mounted for the one command and end up in no layer. Without them the public index is used.
COPY tools/uv.txt /tmp/
RUN --mount=type=secret,id=pip_conf,target=/etc/pip.conf \
    --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    python3 -m venv /opt/uv \
    && /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check --require-hashes -r /tmp/uv.txt \
    && python3 -m venv --without-pip /opt/reaper

# The root file system is read-only later: whatever is not compiled now is compiled at each start. Files of an image
# do not change, so the bytecode is never checked against its source.
ENV UV_PROJECT_ENVIRONMENT=/opt/reaper \
    UV_PYTHON=/opt/reaper/bin/python \
    UV_PYTHON_DOWNLOADS=never \
    UV_NO_CACHE=1 \
    UV_COMPILE_BYTECODE=1 \
    PYC_INVALIDATION_MODE=UNCHECKED_HASH
WORKDIR /src
COPY pyproject.toml uv.lock ./
RUN --mount=type=secret,id=uv_toml,target=/etc/uv/uv.toml \
    --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/uv/bin/uv sync --frozen --no-dev --extra notify --extra postgres --extra redis --no-install-project
COPY README.md LICENSE THIRD-PARTY-NOTICES ./
COPY completions completions
COPY config config
COPY man man
COPY systemd systemd
COPY reaper reaper
RUN --mount=type=secret,id=uv_toml,target=/etc/uv/uv.toml \
    --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    /opt/uv/bin/uv sync --frozen --no-dev --extra notify --extra postgres --extra redis --no-editable \
    && rm -f /opt/reaper/.lock \
    && /opt/reaper/bin/reaper --version

FROM ${BASE}
# What could install or build software goes. The standard library is compiled, because images of Python come without
# its bytecode.
RUN stdlib="$(python3 -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')" \
    && rm -rf "${stdlib}/ensurepip" "${stdlib}/site-packages" /usr/share/python-wheels \
        /usr/local/bin/pip* /usr/local/bin/wheel \
    && python3 -m compileall -q -f -x '/(idlelib|lib2to3|tkinter|turtledemo|config-[^/]*)/' \
        --invalidation-mode unchecked-hash "${stdlib}" \
    && groupadd --gid 10001 reaper \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/reaper --shell /usr/sbin/nologin reaper \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/reaper
COPY --from=build /opt/reaper /opt/reaper

ENV PATH=/opt/reaper/bin:${PATH} \
    HOME=/var/lib/reaper \
    STATE_DIRECTORY=/var/lib/reaper \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONFAULTHANDLER=1 \
    PYTHONUNBUFFERED=1
# The one place that is written to, also for temporary files: where the root is read-only and there is no /tmp, Python
# takes the working directory. As a volume it outlives the container even when nobody named one.
WORKDIR /var/lib/reaper
VOLUME ["/var/lib/reaper"]
# Numeric, so that Kubernetes can tell that it is not root.
USER 10001:10001

# Longer than the 2 s that `reaper health` waits for an answer.
HEALTHCHECK --interval=30s --timeout=5s --start-period=20s --retries=3 CMD ["reaper", "health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["reaper"]
CMD ["run"]

# Last: they change with every build, and nothing above has to be made again for them.
ARG VERSION=""
ARG REVISION=""
ARG CREATED=""
LABEL org.opencontainers.image.title="reaper" \
      org.opencontainers.image.description="Stops expired and orphaned hosted clone sessions, and accounts for every one of them." \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"
