/** What is no message of MCP, or asks for what there is not: no door may end at it. */
export const BAD_FRAMES: readonly string[] = [
  'not JSON',
  '',
  '[]',
  '{}',
  'null',
  '"text"',
  '\u0000\u001B]0;title\u0007',
  '[{"jsonrpc":"2.0","id":90,"method":"ping"}]',
  '{"jsonrpc":"1.0","id":91,"method":"ping"}',
  '{"jsonrpc":"2.0","id":null,"method":"ping"}',
  '{"jsonrpc":"2.0","id":1.5,"method":"ping"}',
  '{"jsonrpc":"2.0","id":92,"method":"ping","params":[]}',
  '{"jsonrpc":"2.0","id":93,"result":{}}',
  '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"unknown"}}',
  '{"jsonrpc":"2.0","id":94,"method":"tools/call","params":{"name":"__proto__","arguments":{"__proto__":{}}}}',
]
