--[[ capability
{
  "name": "list.group_by",
  "intent": "group rows by a field",
  "aliases": ["group a list of objects by a column", "put rows with the same value together", "group rows by city"],
  "input": {
    "type": "object",
    "required": ["rows", "group_field"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "group_field": {"type": "string", "description": "name of the field to group by"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["groups"],
    "properties": {
      "groups": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "rows"],
          "properties": {
            "key": {"type": ["string", "number", "boolean"]},
            "rows": {
              "type": "array",
              "items": {"type": "object"},
              "description": "list of objects, such as the rows of a CSV"
            }
          },
          "additionalProperties": false
        },
        "description": "in order of first appearance"
      }
    },
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
        "group_field": "city"
      },
      "output": {
        "groups": [
          {
            "key": "Bonn",
            "rows": [{"name": "Ann", "city": "Bonn", "age": 31}, {"name": "Cy", "city": "Bonn", "age": 45}]
          },
          {"key": "Kiel", "rows": [{"name": "Bob", "city": "Kiel", "age": 27}]}
        ]
      }
    },
    {"input": {"rows": [], "group_field": "city"}, "output": {"groups": []}},
    {
      "input": {"rows": [{"name": "Ann", "city": "Bonn", "age": 31}, {"name": "Dee"}], "group_field": "city"},
      "error": "missing_field"
    },
    {"input": {"rows": [{"tags": ["a"]}], "group_field": "tags"}, "error": "not_a_plain_value"}
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
  local groups, by_key = {}, {}
  for index, row in ipairs(input.rows) do
    local key = field_of(row, input.group_field, index)
    local group = by_key[key]
    if not group then
      group = { key = key, rows = {} }
      by_key[key] = group
      groups[#groups + 1] = group
    end
    group.rows[#group.rows + 1] = row
  end
  return { groups = groups }
end
