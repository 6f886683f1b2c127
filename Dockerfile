# One image for every process of the site; the engine has a smaller one of its own (--target engine).
FROM python:3.11-slim-bookworm AS base
ENV PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 PIP_DISABLE_PIP_VERSION_CHECK=1 MALLOC_ARENA_MAX=2
RUN useradd --system --uid 10001 --create-home mdlc && mkdir -p /srv/mdlc/var && chown mdlc:mdlc /srv/mdlc/var
WORKDIR /srv/mdlc
COPY requirements-uv.txt ./
RUN python -m venv /opt/venv && /opt/venv/bin/pip install --no-cache-dir -q --require-hashes -r requirements-uv.txt
ENV PATH=/opt/venv/bin:$PATH VIRTUAL_ENV=/opt/venv

# Scores records with sealed versions; holds no Django and no rights in the registry.
FROM base AS engine
COPY engine/requirements.txt engine/requirements.txt
RUN uv pip install --no-cache -q --require-hashes -r engine/requirements.txt
COPY engine engine
USER mdlc
VOLUME /srv/mdlc/var
EXPOSE 8600
HEALTHCHECK --interval=10s --timeout=3s CMD ["python", "-c", "import urllib.request as u; u.urlopen('http://127.0.0.1:8600/v2/health/ready', timeout=2)"]
ENTRYPOINT ["python", "-m", "engine", "--host", "0.0.0.0", "--port", "8600", "--home", "/srv/mdlc/var/engine"]

# Web, relay, workers and beat: the same image, another command.
FROM base AS site
COPY requirements.txt ./
RUN uv pip install --no-cache -q --require-hashes -r requirements.txt
COPY manage.py ./
COPY engine engine
COPY audit audit
COPY models_registry models_registry
COPY handoff handoff
COPY mdlc_site mdlc_site
COPY templates templates
COPY static static
RUN SECRET_KEY=only-to-collect-files-only-to-collect-files STATIC_ROOT=/srv/mdlc/static-collected \
    python manage.py collectstatic --noinput --verbosity 0
ENV DJANGO_SETTINGS_MODULE=mdlc_site.settings STATIC_ROOT=/srv/mdlc/static-collected MDLC_STORE=/srv/mdlc/var/store \
    MDLC_ANCHORS=/srv/mdlc/var/anchors.jsonl
USER mdlc
VOLUME /srv/mdlc/var
EXPOSE 8000
CMD ["granian", "--interface", "wsgi", "--host", "0.0.0.0", "--port", "8000", "--workers", "2", "--blocking-threads", "32", "mdlc_site.wsgi:application"]
