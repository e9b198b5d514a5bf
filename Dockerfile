# Drover with the Claude CLI: one image for every role (docker-compose.yml has a board and workers of it).
#
#     docker build -t drover .
#     docker run --rm drover --help

FROM node:24.21.0-bookworm-slim AS build
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src src
RUN npm run build

FROM node:24.21.0-bookworm-slim AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# Development tools that a production package names as optional peers (vitest, typescript) count as optional in the
# lock file. What else is optional only makes things faster: msgpackr decodes the same without its native part.
RUN npm ci --omit=dev --omit=optional --ignore-scripts

FROM node:24.21.0-bookworm-slim
# git: workspaces are repositories. util-linux (setpriv, unshare) and bubblewrap: agents get a pid namespace of their
# own, and die with the guard. ca-certificates and openssh-client: for the agents' own git.
RUN apt-get update \
  && apt-get install -y --no-install-recommends bubblewrap ca-certificates git openssh-client util-linux \
  && rm -rf /var/lib/apt/lists/*
# The version that Drover was measured with. The last command fails the build where its program did not get in.
RUN npm install --global --no-audit --no-fund @anthropic-ai/claude-code@2.1.329 \
  && npm cache clean --force \
  && claude --version

WORKDIR /app
COPY package.json ./
COPY --from=packages /app/node_modules node_modules
COPY --from=build /app/dist dist
COPY migrations migrations
COPY agents agents
COPY agent_specs.json agent_specs.schema.json ./
COPY examples examples
RUN printf '#!/bin/sh\nexec node /app/dist/cli/main.js "$@"\n' > /usr/local/bin/drover \
  && chmod 755 /usr/local/bin/drover \
  && mkdir /data /workspaces \
  && chown node:node /data /workspaces

# The working directory stays /app, which no agent can write: Drover reads drover.toml and agent_specs.json from it.
ENV NODE_ENV=production DROVER_DATA_DIR=/data DROVER_WORKSPACE_ROOTS=/workspaces
USER node
ENTRYPOINT ["drover"]
CMD ["--help"]
