# The same environment as `make` builds. CPU by default; for a GPU:
#   docker build --build-arg BASE=nvidia/cuda:13.0.1-runtime-ubuntu22.04 -t polychromic .
# then run with `--gpus all`. The default torch wheel of the package index carries CUDA.
ARG BASE=debian:12
FROM ${BASE}
RUN apt-get update \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends \
      ca-certificates git make python3.11 python3.11-venv \
      latexmk texlive-latex-recommended texlive-pictures texlive-fonts-recommended lmodern poppler-utils wordnet-base \
 && rm -rf /var/lib/apt/lists/* \
 && ln -sf /usr/bin/python3.11 /usr/local/bin/python3
WORKDIR /polychromic
COPY requirements.lock pyproject.toml Makefile ./
COPY polychromic/__init__.py polychromic/__init__.py
RUN make .venv/installed
COPY . .
CMD ["make", "paper"]
