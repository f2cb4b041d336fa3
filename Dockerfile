# docker build -t freqai .
#
# Build arguments:
#   BASE    an image of Debian's kind with Python 3.11 or newer and its venv module
#   TORCH   cpu, or cuda for NVIDIA's cards
#   FREQUI  yes for freqtrade's web interface, whose files come from GitHub, or no
ARG BASE=python:3.11-slim

FROM ${BASE} AS build
ARG TORCH=cpu
ARG FREQUI=yes
WORKDIR /build
ENV PATH=/opt/freqai/bin:$PATH \
    PIP_CONSTRAINT=/build/constraints.txt \
    PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1
COPY constraints.txt pyproject.toml ./
# All that the project needs but the project itself: a layer that stays until a version changes.
# Without a card, what is of no use goes again: xgboost's library for many cards, the largest of all,
# and the files for compiling and testing.
RUN python3 -m venv /opt/freqai \
    && case "$TORCH" in \
        cpu) pip install --no-deps --extra-index-url https://download.pytorch.org/whl/cpu \
            "$(grep '^torch==' constraints.txt)+cpu" ;; \
        cuda) ;; \
        *) echo "TORCH: must be cpu or cuda, was '$TORCH'" >&2; exit 1 ;; \
    esac \
    && python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["dependencies"], sep="\n")' > requirements.txt \
    && pip install --requirement requirements.txt \
    && if [ "$TORCH" = cpu ]; then \
        pip uninstall --yes nvidia-nccl-cu12 \
            && cd /opt/freqai/lib/python3*/site-packages \
            && rm --recursive --force pandas/tests torch/include torch/test; \
    fi \
    && case "$FREQUI" in \
        yes) freqtrade install-ui ;; \
        no) ;; \
        *) echo "FREQUI: must be yes or no, was '$FREQUI'" >&2; exit 1 ;; \
    esac
COPY . .
RUN pip install --no-deps . && pip uninstall --yes pip

FROM ${BASE}
ENV PATH=/opt/freqai/bin:$PATH \
    HOME=/tmp \
    LOGNAME=ftuser \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    FREQTRADE__LOGFILE=/tmp/freqtrade.log
COPY --from=build /opt/freqai /opt/freqai
COPY docker/as-owner /usr/local/bin/
WORKDIR /freqtrade
# What has to outlive the container is linked into the one folder that is mounted. Everything else
# is open to any user, for `docker run --user`.
RUN useradd --uid 1000 --no-create-home --home-dir /freqtrade ftuser \
    && mkdir --parents user_data/data \
    && freqai-lstm install --userdir user_data \
    && for name in backtest_results hyperopt_results logs models plot; do \
        ln --symbolic "data/$name" "user_data/$name"; \
    done \
    && ln --symbolic ../data/ExampleLSTMStrategy.json user_data/strategies/ \
    && ln --symbolic user_data/data/tradesv3.sqlite user_data/data/tradesv3.dryrun.sqlite . \
    && chown --recursive --no-dereference ftuser:ftuser . \
    && chmod --recursive a+rwX . \
    && rm --force /tmp/freqtrade.log
HEALTHCHECK --interval=1m --timeout=10s --start-period=15m --retries=3 \
    CMD ["python", "-m", "freqai_lstm.tools.heartbeat"]
# Starts as root only to become the owner of the mounted folder: freqtrade never runs as root.
ENTRYPOINT ["as-owner", "freqtrade"]
CMD ["--help"]
