--[[ capability
{
  "name": "notify.chat",
  "intent": "post a message to a chat channel",
  "description": "hooks.example.com is an example: put your chat in its place. The hook's path is a secret.",
  "aliases": ["send a message to the team chat", "write to a channel by webhook", "alert the team in chat"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string", "minLength": 1, "maxLength": 20000}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["http_status"],
    "properties": {"http_status": {"type": "integer", "description": "what the chat answered"}},
    "additionalProperties": false
  },
  "grants": {"notify.webhook": {"hosts": ["hooks.example.com"], "secrets": ["CHAT_HOOK"]}},
  "examples": [
    {
      "input": {"text": "The shop is down."},
      "output": {"http_status": 200},
      "hosts": [
        {
          "call": "notify.webhook",
          "with": {
            "url": "https://hooks.example.com/services",
            "path": {"secret": "CHAT_HOOK"},
            "json": {"text": "The shop is down."}
          },
          "result": {"status": 200}
        }
      ]
    },
    {
      "input": {"text": "Done"},
      "output": {"http_status": 204},
      "hosts": [
        {
          "call": "notify.webhook",
          "with": {
            "url": "https://hooks.example.com/services",
            "path": {"secret": "CHAT_HOOK"},
            "json": {"text": "Done"}
          },
          "result": {"status": 204}
        }
      ]
    },
    {
      "input": {"text": "Done"},
      "error": "no_secret",
      "hosts": [
        {
          "call": "notify.webhook",
          "with": {
            "url": "https://hooks.example.com/services",
            "path": {"secret": "CHAT_HOOK"},
            "json": {"text": "Done"}
          },
          "error": {"code": "no_secret", "message": "there is no secret 'CHAT_HOOK'"}
        }
      ]
    },
    {"input": {"text": "   "}, "error": "empty_message"}
  ]
}
]]
-- Your chat: its host stands here and in the grant.
local CHAT = "https://hooks.example.com/services"

function run(input, context)
  if not input.text:find("%S") then fail("empty_message", "the message has no letter in it") end
  local answer = notify.webhook{ url = CHAT, path = { secret = "CHAT_HOOK" }, json = { text = input.text } }
  return { http_status = answer.status }
end
