--[[ capability
{
  "name": "validation.required_fields",
  "intent": "check that rows have all required fields",
  "description": "An empty text counts as missing.",
  "aliases": ["find missing fields in a list of objects", "which rows lack a mandatory column"],
  "input": {
    "type": "object",
    "required": ["rows", "required_fields"],
    "properties": {
      "rows": {
        "type": "array",
        "items": {"type": "object"},
        "description": "list of objects, such as the rows of a CSV"
      },
      "required_fields": {"type": "array", "items": {"type": "string"}, "minItems": 1}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["valid", "missing"],
    "properties": {
      "valid": {"type": "boolean"},
      "missing": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["row", "field"],
          "properties": {
            "row": {"type": "integer", "minimum": 1, "description": "place in the list, from 1"},
            "field": {"type": "string"}
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
      "input": {"rows": [{"name": "Ann", "email": "ann@example.org"}], "required_fields": ["name", "email"]},
      "output": {"valid": true, "missing": []}
    },
    {
      "input": {"rows": [{"name": "Ann"}, {"name": "", "email": "x"}], "required_fields": ["name", "email"]},
      "output": {"valid": false, "missing": [{"row": 1, "field": "email"}, {"row": 2, "field": "name"}]}
    },
    {"input": {"rows": [], "required_fields": ["name"]}, "output": {"valid": true, "missing": []}}
  ]
}
]]
function run(input, context)
  local missing = {}
  for index, row in ipairs(input.rows) do
    for _, field in ipairs(input.required_fields) do
      local value = row[field]
      if value == nil or value == json.null or value == "" then
        missing[#missing + 1] = { row = index, field = field }
      end
    end
  end
  return { valid = #missing == 0, missing = missing }
end
