--[[ capability
{
  "name": "notify.user",
  "intent": "send a message to a user by email",
  "description": "The message is written to the namespace outbox, from where a mailer takes it.",
  "aliases": ["notify a customer by e-mail", "write an email to someone", "tell the customer"],
  "input": {
    "type": "object",
    "required": ["email", "subject", "text"],
    "properties": {
      "email": {"type": "string", "description": "address; checked here, with invalid_address as the answer"},
      "subject": {"type": "string", "minLength": 1, "maxLength": 200},
      "text": {"type": "string", "minLength": 1, "maxLength": 20000},
      "message_id": {
        "type": "string",
        "minLength": 1,
        "maxLength": 100,
        "description": "one message is written for one id; the step's own key when left out"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["message_id", "email"],
    "properties": {"message_id": {"type": "string"}, "email": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["outbox"]}, "store.put": {"namespaces": ["outbox"]}},
  "examples": [
    {
      "input": {"email": "ann@example.org", "subject": "Hello", "text": "Good day.", "message_id": "hello-1"},
      "output": {"message_id": "hello-1", "email": "ann@example.org"},
      "store_after": {
        "outbox": {
          "hello-1": {
            "message_id": "hello-1",
            "email": "ann@example.org",
            "subject": "Hello",
            "text": "Good day.",
            "status": "queued"
          }
        }
      }
    },
    {
      "input": {"email": "ann@example.org", "subject": "Hello again", "text": "Twice?", "message_id": "hello-1"},
      "output": {"message_id": "hello-1", "email": "ann@example.org"},
      "store": {
        "outbox": {
          "hello-1": {
            "message_id": "hello-1",
            "email": "ann@example.org",
            "subject": "Hello",
            "text": "Good day.",
            "status": "queued"
          }
        }
      },
      "store_after": {
        "outbox": {
          "hello-1": {
            "message_id": "hello-1",
            "email": "ann@example.org",
            "subject": "Hello",
            "text": "Good day.",
            "status": "queued"
          }
        }
      }
    },
    {"input": {"email": "ann.example.org", "subject": "Hello", "text": "Good day."}, "error": "invalid_address"},
    {"input": {"email": "ann@example..org", "subject": "Hello", "text": "Good day."}, "error": "invalid_address"}
  ]
}
]]
local function is_address(email)
  local mailbox, domain = email:match("^([%w!#$%%&'*+/=?^_`{|}~.-]+)@([%w.-]+%.%a%a+)$")
  if not mailbox or #email > 254 then return false end
  return not ("." .. mailbox .. "."):find("..", 1, true) and not ("." .. domain):find("..", 1, true)
end

function run(input, context)
  if not is_address(input.email) then
    fail("invalid_address", "'" .. input.email .. "' is not an e-mail address", { retryable = false })
  end
  local message_id = input.message_id or context.idempotency_key
  local found = store.get{ namespace = "outbox", key = message_id }
  if found.version == 0 then
    local message = {
      message_id = message_id,
      email = input.email,
      subject = input.subject,
      text = input.text,
      status = "queued",
    }
    store.put{ namespace = "outbox", key = message_id, value = message, if_version = 0 }
  end
  return { message_id = message_id, email = input.email }
end
