--[[ capability
{
  "name": "validation.email",
  "intent": "check whether an email address is valid",
  "description": "By its form only, which must be plain ASCII; whether the mailbox exists, a message can tell.",
  "aliases": ["validate an e-mail address", "is this a well-formed email"],
  "input": {
    "type": "object",
    "required": ["email"],
    "properties": {"email": {"type": "string"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["valid", "reason"],
    "properties": {
      "valid": {"type": "boolean"},
      "reason": {"type": "string", "description": "why it is not valid; empty when it is"}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"email": "ann.smith+shop@example.org"}, "output": {"valid": true, "reason": ""}},
    {"input": {"email": "ann.example.org"}, "output": {"valid": false, "reason": "must have exactly one @"}},
    {"input": {"email": "ann@example"}, "output": {"valid": false, "reason": "the part after @ is no domain"}},
    {"input": {"email": "a..b@example.org"}, "output": {"valid": false, "reason": "a dot is misplaced"}}
  ]
}
]]
local function fault_of(email)
  if #email > 254 then return "longer than 254 bytes" end
  local mailbox, domain = email:match("^([^@]*)@([^@]*)$")
  if not mailbox then return "must have exactly one @" end
  if not mailbox:find("^[%w!#$%%&'*+/=?^_`{|}~.-]+$") then return "the part before @ is no mailbox" end
  if ("." .. mailbox .. "."):find("..", 1, true) then return "a dot is misplaced" end
  if not domain:find("^[%w.-]+%.%a%a+$") then return "the part after @ is no domain" end
  for label in (domain .. "."):gmatch("(.-)%.") do
    if label == "" or label:find("^%-") or label:find("%-$") then return "the part after @ is no domain" end
  end
  return ""
end

function run(input, context)
  local reason = fault_of(input.email)
  return { valid = reason == "", reason = reason }
end
