--[[ capability
{
  "name": "text.template_fill",
  "intent": "fill the placeholders of a text template",
  "aliases": [
    "replace {name} placeholders in a template with values",
    "mail merge a template with data",
    "fill in a form letter"
  ],
  "input": {
    "type": "object",
    "required": ["template", "data"],
    "properties": {
      "template": {
        "type": "string",
        "description": "{name} is replaced by the property 'name' of data; {{ and }} stand for braces"
      },
      "data": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["text"],
    "properties": {"text": {"type": "string"}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {"template": "Dear {name}, you owe {amount} EUR.", "data": {"name": "Ann", "amount": 12.5}},
      "output": {"text": "Dear Ann, you owe 12.5 EUR."}
    },
    {"input": {"template": "{{literal}} {flag}", "data": {"flag": true}}, "output": {"text": "{literal} true"}},
    {"input": {"template": "Hello {name}", "data": {}}, "error": "missing_value"},
    {"input": {"template": "Hello {name", "data": {"name": "Ann"}}, "error": "broken_template"}
  ]
}
]]
local function shown(value)
  if type(value) == "string" then return value end
  if type(value) == "number" and value % 1 == 0 and math.abs(value) < 1e15 then return string.format("%d", value) end
  return json.encode(value)
end

function run(input, context)
  local parts, position, template = {}, 1, input.template
  while true do
    local brace = template:find("[{}]", position)
    if not brace then break end
    parts[#parts + 1] = template:sub(position, brace - 1)
    local sign = template:sub(brace, brace)
    if template:sub(brace + 1, brace + 1) == sign then
      parts[#parts + 1] = sign
      position = brace + 2
    else
      local name, after = template:match("^{%s*([^{}]-)%s*}()", brace)
      if not name then fail("broken_template", "a brace at byte " .. brace .. " has no partner") end
      local value = input.data[name]
      if value == nil then fail("missing_value", "the data has no value for '" .. name .. "'") end
      parts[#parts + 1] = shown(value)
      position = after
    end
  end
  parts[#parts + 1] = template:sub(position)
  return { text = table.concat(parts) }
end
