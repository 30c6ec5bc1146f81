--[[ capability
{
  "name": "list.chunk",
  "intent": "split a list into chunks of a given size",
  "aliases": ["divide a list into batches", "break a list into smaller lists"],
  "input": {
    "type": "object",
    "required": ["items", "size"],
    "properties": {
      "items": {"type": "array", "items": {}},
      "size": {"type": "integer", "minimum": 1, "description": "most items of a chunk"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["chunks"],
    "properties": {"chunks": {"type": "array", "items": {"type": "array", "items": {}}}},
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {"input": {"items": [1, 2, 3, 4, 5], "size": 2}, "output": {"chunks": [[1, 2], [3, 4], [5] ]}},
    {"input": {"items": [], "size": 3}, "output": {"chunks": []}},
    {"input": {"items": ["a", {"b": 1}], "size": 10}, "output": {"chunks": [["a", {"b": 1}] ]}}
  ]
}
]]
function run(input, context)
  local chunks = {}
  for index, item in ipairs(input.items) do
    if (index - 1) % input.size == 0 then chunks[#chunks + 1] = {} end
    local chunk = chunks[#chunks]
    chunk[#chunk + 1] = item
  end
  return { chunks = chunks }
end
