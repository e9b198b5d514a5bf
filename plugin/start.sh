#!/bin/sh
# The orchestrator's MCP server: of the Drover that this plugin is a part of, else of the one on the PATH.
drover=$(dirname "$0")/../drover
[ -x "$drover" ] || drover=drover
exec "$drover" mcp
