--[[ capability
{
  "name": "list.count_by",
  "intent": "count rows for each value of a field",
  "aliases": [
    "how many rows are there per value",
    "frequency of the values of a column",
    "number of orders per city"
  ],
  "input": {
    "type": "object",
    "required": ["rows", "group_field"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "group_field": {"type": "string", "description": "name of the field to count by"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["counts"],
    "properties": {
      "counts": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["key", "count"],
          "properties": {
            "key": {"type": ["string", "number", "boolean"]},
            "count": {"type": "integer", "minimum": 1}
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
      "output": {"counts": [{"key": "Bonn", "count": 2}, {"key": "Kiel", "count": 1}]}
    },
    {"input": {"rows": [], "group_field": "city"}, "output": {"counts": []}},
    {"input": {"rows": [{"name": "Dee"}], "group_field": "city"}, "error": "missing_field"},
    {"input": {"rows": [{"city": ["Bonn"]}], "group_field": "city"}, "error": "not_a_plain_value"}
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
  local counts, by_key = {}, {}
  for index, row in ipairs(input.rows) do
    local key = field_of(row, input.group_field, index)
    if not by_key[key] then
      by_key[key] = { key = key, count = 0 }
      counts[#counts + 1] = by_key[key]
    end
    by_key[key].count = by_key[key].count + 1
  end
  return { counts = counts }
end
