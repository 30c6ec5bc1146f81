--[[ capability
{
  "name": "text.extract_emails",
  "intent": "find all email addresses in a text",
  "aliases": ["extract the e-mail addresses from a text", "list the emails mentioned in a message"],
  "input": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["emails"],
    "properties": {
      "emails": {
        "type": "array",
        "items": {"type": "string"},
        "uniqueItems": true,
        "description": "lower case, each once, in order of appearance"
      }
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {"text": "Write to Ann@Example.org or bob@mail.example.com."},
      "output": {"emails": ["ann@example.org", "bob@mail.example.com"]}
    },
    {"input": {"text": "ann@example.org, ANN@example.org"}, "output": {"emails": ["ann@example.org"]}},
    {"input": {"text": "nobody @ nowhere, x@y"}, "output": {"emails": []}}
  ]
}
]]
function run(input, context)
  local emails, seen = {}, {}
  for found in input.text:gmatch("[%w%._%%%+%-]+@[%w%.%-]+") do
    local email = found:lower():gsub("^%.+", ""):gsub("[%.%-]+$", "")
    local domain = email:match("^[^@]+@(.+)$")
    local whole = domain and domain:find("^%w[%w%-]*%.[%w%.%-]*%a%a$") and not domain:find("..", 1, true)
    if whole and not seen[email] then
      seen[email] = true
      emails[#emails + 1] = email
    end
  end
  return { emails = emails }
end
