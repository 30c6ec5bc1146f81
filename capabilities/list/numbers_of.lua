--[[ capability
{
  "name": "list.numbers_of",
  "intent": "take the numbers of one field from all rows",
  "description": "Empty cells are left out.",
  "aliases": ["get a column of numbers from rows", "list the numbers in a column"],
  "input": {
    "type": "object",
    "required": ["rows", "value_field"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "value_field": {"type": "string", "description": "name of the field that holds the numbers"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["numbers"],
    "properties": {"numbers": {"type": "array", "items": {"type": "number"}}},
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
        "value_field": "age"
      },
      "output": {"numbers": [31, 27, 45]}
    },
    {"input": {"rows": [{"price": 2.5}, {"price": ""}], "value_field": "price"}, "output": {"numbers": [2.5]}},
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "value_field": "name"
      },
      "error": "not_a_number"
    },
    {
      "input": {
        "rows": [
          {"name": "Ann", "city": "Bonn", "age": 31},
          {"name": "Bob", "city": "Kiel", "age": 27},
          {"name": "Cy", "city": "Bonn", "age": 45}
        ],
        "value_field": "height"
      },
      "error": "missing_field"
    }
  ]
}
]]
local function field_of(row, field, index)
  local value = row[field]
  if value == nil or value == json.null then
    fail("missing_field", "row " .. index .. " has no field '" .. field .. "'")
  end
  return value
end

function run(input, context)
  local numbers = {}
  for index, row in ipairs(input.rows) do
    local value = field_of(row, input.value_field, index)
    if type(value) == "number" then
      numbers[#numbers + 1] = value
    elseif value ~= "" then
      fail("not_a_number", "row " .. index .. " has no number in '" .. input.value_field .. "'")
    end
  end
  return { numbers = numbers }
end
