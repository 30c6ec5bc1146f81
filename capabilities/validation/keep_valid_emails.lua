--[[ capability
{
  "name": "validation.keep_valid_emails",
  "intent": "keep only rows with a valid email address",
  "aliases": ["drop contacts whose e-mail is invalid", "separate rows with good and bad email addresses"],
  "input": {
    "type": "object",
    "required": ["rows", "email_field"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "email_field": {"type": "string", "description": "name of the field that holds the address"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["rows", "rejected"],
    "properties": {
      "rows": {"type": "array", "items": {"type": "object"}, "description": "rows with a valid address"},
      "rejected": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["row", "reason"],
          "properties": {
            "row": {"type": "integer", "minimum": 1, "description": "place in the list given, from 1"},
            "reason": {"type": "string"}
          },
          "additionalProperties": false
        }
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {"rows": [{"email": "ann@example.org"}, {"email": "bob(at)example.org"}], "email_field": "email"},
      "output": {
        "rows": [{"email": "ann@example.org"}],
        "rejected": [{"row": 2, "reason": "must have exactly one @"}]
      }
    },
    {
      "input": {"rows": [{"mail": 7}, {"name": "Cy"}], "email_field": "mail"},
      "output": {"rows": [], "rejected": [{"row": 1, "reason": "no address"}, {"row": 2, "reason": "no address"}]}
    },
    {"input": {"rows": [], "email_field": "email"}, "output": {"rows": [], "rejected": []}}
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
  local rows, rejected = {}, {}
  for index, row in ipairs(input.rows) do
    local email = row[input.email_field]
    local reason = "no address"
    if type(email) == "string" then reason = fault_of(email) end
    if reason == "" then
      rows[#rows + 1] = row
    else
      rejected[#rejected + 1] = { row = index, reason = reason }
    end
  end
  return { rows = rows, rejected = rejected }
end
