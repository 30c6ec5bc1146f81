--[[ capability
{
  "name": "list.pluck",
  "intent": "take the values of one field from all rows",
  "aliases": ["get one column of a list of objects", "list the values of a column"],
  "input": {
    "type": "object",
    "required": ["rows", "value_field"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "value_field": {"type": "string", "description": "name of the field to take"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["values"],
    "properties": {"values": {"type": "array", "items": {"type": ["string", "number", "boolean"]}}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "value_field": "name"
      },
      "output": {"values": ["Ann", "Bob", "Cy"]}
    },
    {"input": {"rows": [], "value_field": "name"}, "output": {"values": []}},
    {"input": {"rows": [{"a": 1}], "value_field": "b"}, "error": "missing_field"},
    {"input": {"rows": [{"a": [1]}], "value_field": "a"}, "error": "not_a_plain_value"}
  ]
}
]]
local function field_of(row, field, index)
  local value = row[field]
  if value == nil or value == json.null then
    fail("missing_field", "row " .. index .. " has no field '" .. field .. "'")
  end
  if type(value) == "table" then
    fail("not_a_plain_value", "row " .. index .. " has a list or an object in '" .. field .. "'")
  end
  return value
end

function run(input, context)
  local values = {}
  for index, row in ipairs(input.rows) do values[index] = field_of(row, input.value_field, index) end
  return { values = values }
end
