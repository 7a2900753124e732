# docker build -t glasstcp .
# docker run -d --name glass --network none --cap-add NET_ADMIN --device /dev/net/tun glasstcp
# docker exec glass curl -s http://10.77.0.2/
FROM node:22-bookworm-slim AS build
WORKDIR /opt/glasstcp
COPY package.json package-lock.json ./
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build && npm prune --omit=dev --no-audit --no-fund && chmod +x dist/src/cli/main.js

FROM node:22-bookworm-slim
LABEL org.opencontainers.image.title="glasstcp" \
      org.opencontainers.image.description="A TCP endpoint made of glass: its own TCP on a Linux TUN, every step with the reason for it" \
      org.opencontainers.image.licenses="MIT"
# The clients of the demo, and ip and ss to look at the interface with; the daemon itself needs none of them.
RUN apt-get update \
 && apt-get install -y --no-install-recommends curl iproute2 netcat-openbsd \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin
WORKDIR /opt/glasstcp
COPY package.json README.md LICENSE ./
COPY --from=build /opt/glasstcp/node_modules ./node_modules
COPY --from=build /opt/glasstcp/dist ./dist
RUN ln -s /opt/glasstcp/dist/src/cli/main.js /usr/local/bin/glasstcp
# /dev/shm is writable in a container whose root file system is not (--read-only).
ENV NODE_ENV=production GLASSTCP_CONTROL=/dev/shm/glasstcp.sock
# The control socket first: it answers whatever address serve was given. After --user it belongs to that user; then HTTP tells.
HEALTHCHECK --interval=5s --timeout=3s --start-period=10s --retries=3 \
  CMD curl -fsS -o /dev/null --max-time 2 --unix-socket "$GLASSTCP_CONTROL" http://localhost/v1/status || curl -fsS -o /dev/null --max-time 2 http://10.77.0.2/healthz
STOPSIGNAL SIGTERM
ENTRYPOINT ["glasstcp"]
CMD ["serve"]
