--[[ capability
{
  "name": "notify.team",
  "intent": "send an e-mail to the team",
  "description": "team@example.com is an example: put yours in its place. The server is [email] of ritesmith.toml.",
  "aliases": ["mail a report to the team", "email the team", "send a message to our own mailbox"],
  "input": {
    "type": "object",
    "required": ["subject", "text"],
    "properties": {
      "subject": {"type": "string", "minLength": 1, "maxLength": 200},
      "text": {"type": "string", "minLength": 1, "maxLength": 200000}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["message_id"],
    "properties": {"message_id": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {"email.send": {"recipients": ["team@example.com"]}},
  "examples": [
    {
      "input": {"subject": "Orders", "text": "Three new ones."},
      "output": {"message_id": "<1@example.com>"},
      "hosts": [
        {
          "call": "email.send",
          "with": {"to": ["team@example.com"], "subject": "Orders", "text": "Three new ones."},
          "result": {"message_id": "<1@example.com>", "recipients": 1}
        }
      ]
    },
    {
      "input": {"subject": "Price\nalert", "text": "Now 34.50 EUR."},
      "output": {"message_id": "<2@example.com>"},
      "hosts": [
        {
          "call": "email.send",
          "with": {"to": ["team@example.com"], "subject": "Price alert", "text": "Now 34.50 EUR."},
          "result": {"message_id": "<2@example.com>", "recipients": 1}
        }
      ]
    },
    {
      "input": {"subject": "Orders", "text": "Three new ones."},
      "error": "recipient_refused",
      "hosts": [
        {
          "call": "email.send",
          "with": {"to": ["team@example.com"], "subject": "Orders", "text": "Three new ones."},
          "error": {"code": "recipient_refused", "message": "team@example.com: no such mailbox"}
        }
      ]
    },
    {"input": {"subject": "  ", "text": "Three new ones."}, "error": "empty_subject"}
  ]
}
]]
-- Your team: the same address stands in the grant.
local TEAM = "team@example.com"

function run(input, context)
  -- A subject is one line.
  local subject = input.subject:gsub("%c+", " "):gsub("\xC2[\x80-\x9F]", " "):gsub("\xE2\x80[\xA8\xA9]", " ")
  if not subject:find("%S") then fail("empty_subject", "the subject has no letter in it") end
  local sent = email.send{ to = { TEAM }, subject = subject, text = input.text }
  return { message_id = sent.message_id }
end
