--[[ capability
{
  "name": "list.top",
  "intent": "rows with the largest values of a field",
  "aliases": ["top ten rows by a column", "the highest values of a list of objects"],
  "input": {
    "type": "object",
    "required": ["rows", "sort_field", "count"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "sort_field": {"type": "string", "description": "name of the field that decides"},
      "count": {"type": "integer", "minimum": 1, "description": "most rows to return"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["rows"],
    "properties": {"rows": {"type": "array", "items": {"type": "object"}, "description": "largest first"}},
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
        "sort_field": "age",
        "count": 2
      },
      "output": {"rows": [{"name": "Cy", "city": "Bonn", "age": 45}, {"name": "Ann", "city": "Bonn", "age": 31}]}
    },
    {
      "input": {"rows": [{"name": "Bob", "city": "Kiel", "age": 27}], "sort_field": "age", "count": 5},
      "output": {"rows": [{"name": "Bob", "city": "Kiel", "age": 27}]}
    },
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "sort_field": "height",
        "count": 1
      },
      "error": "missing_field"
    },
    {"input": {"rows": [{"age": 1}, {"age": "old"}], "sort_field": "age", "count": 1}, "error": "mixed_types"},
    {"input": {"rows": [{"age": {}}], "sort_field": "age", "count": 1}, "error": "not_a_plain_value"}
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

local function ordered(rows, field, descending)
  local entries = {}
  for index, row in ipairs(rows) do
    local value = field_of(row, field, index)
    if index > 1 and type(value) ~= type(entries[1].value) or type(value) == "boolean" then
      fail("mixed_types", "the field '" .. field .. "' must hold only numbers or only strings")
    end
    entries[index] = { value = value, index = index, row = row }
  end
  table.sort(entries, function(one, other)
    if one.value == other.value then return one.index < other.index end
    if descending then return one.value > other.value end
    return one.value < other.value
  end)
  return entries
end

function run(input, context)
  local rows = {}
  for index, entry in ipairs(ordered(input.rows, input.sort_field, true)) do
    if index > input.count then break end
    rows[index] = entry.row
  end
  return { rows = rows }
end
