# Two stages: the first installs, the second runs. Pin the base by digest where builds must be repeatable:
#   node:24-bookworm-slim@sha256:<digest>      (docker buildx imagetools inspect node:24-bookworm-slim)
ARG BASE=node:24-bookworm-slim

FROM ${BASE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# --omit=dev also leaves out the npm package `node`, which pins the runtime for development: here the base is the runtime.
# --ignore-scripts: no package that the gateway needs has an install script, so none may run one.
RUN npm ci --omit=dev --ignore-scripts --no-audit --no-fund

FROM ${BASE}
# What installs packages has no work to do here, and what is absent cannot be used by an intruder.
RUN rm -rf /usr/local/lib/node_modules /usr/local/bin/npm /usr/local/bin/npx /usr/local/bin/corepack \
      /usr/local/bin/yarn /usr/local/bin/yarnpkg /opt/yarn-* \
 && install -d -o 65532 -g 65532 -m 0700 /var/lib/bailiwick/audit
WORKDIR /app
COPY --from=packages /app/node_modules ./node_modules
COPY package.json ./
COPY policies ./policies
COPY src ./src
ENV NODE_ENV=production
# A number, so that Kubernetes can check runAsNonRoot without reading /etc/passwd. The sources stay root's: not writable.
USER 65532:65532
# The only place that is written to; the root file system can be read-only.
VOLUME /var/lib/bailiwick/audit
# Clients; health and metrics.
EXPOSE 9080 9081
# No HEALTHCHECK: it cannot know the admin address, which the configuration sets, and Kubernetes ignores it. The chart's
# probes ask /-/healthy and /-/ready.
ENTRYPOINT ["node", "/app/src/main.ts"]
CMD ["serve", "--config", "/etc/bailiwick/bailiwick.yaml"]
