--[[ capability
{
  "name": "list.unique_by",
  "intent": "remove rows with a duplicate value in a field",
  "aliases": ["deduplicate rows by a column", "keep the first row for each value of a field"],
  "input": {
    "type": "object",
    "required": ["rows", "unique_field"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "unique_field": {"type": "string", "description": "name of the field whose values must differ"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["rows", "removed"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "the first row of each value, in the order given"
      },
      "removed": {"type": "integer", "minimum": 0, "description": "rows left out"}
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
        "unique_field": "city"
      },
      "output": {
        "rows": [{"name": "Ann", "city": "Bonn", "age": 31}, {"name": "Bob", "city": "Kiel", "age": 27}],
        "removed": 1
      }
    },
    {"input": {"rows": [], "unique_field": "city"}, "output": {"rows": [], "removed": 0}},
    {"input": {"rows": [{"name": "Ann"}], "unique_field": "city"}, "error": "missing_field"},
    {"input": {"rows": [{"tags": ["a"]}], "unique_field": "tags"}, "error": "not_a_plain_value"}
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
  local rows, seen = {}, {}
  for index, row in ipairs(input.rows) do
    local value = field_of(row, input.unique_field, index)
    if not seen[value] then
      seen[value] = true
      rows[#rows + 1] = row
    end
  end
  return { rows = rows, removed = #input.rows - #rows }
end
