--[[ capability
{
  "name": "web.uptime_report",
  "intent": "report which of the checked web pages are down",
  "aliases": ["summarize the results of an uptime check", "list the pages that do not answer"],
  "input": {
    "type": "object",
    "required": ["pages", "results"],
    "properties": {
      "pages": {"type": "array", "items": {"type": "string"}, "description": "names of pages"},
      "results": {
        "type": "array",
        "items": {
          "type": "object",
          "required": ["status"],
          "properties": {"status": {"enum": ["succeeded", "failed"]}, "error": {"type": "object"}}
        },
        "description": "one for each page, in the same order, as a settled join gives them"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["up", "down", "text"],
    "properties": {
      "up": {"type": "integer", "minimum": 0},
      "down": {"type": "integer", "minimum": 0},
      "text": {"type": "string", "minLength": 1}
    },
    "additionalProperties": false
  },
  "grants": {},
  "examples": [
    {
      "input": {
        "pages": ["home", "shop"],
        "results": [
          {"status": "succeeded", "output": {"url": "https://www.example.com/", "http_status": 200}},
          {"status": "failed", "error": {"code": "page_down", "message": "it answered with status 503"}}
        ]
      },
      "output": {"up": 1, "down": 1, "text": "1 of 2 pages is down:\n- shop: it answered with status 503"}
    },
    {
      "input": {"pages": ["home"], "results": [{"status": "succeeded"}]},
      "output": {"up": 1, "down": 0, "text": "All pages answer: 1."}
    },
    {"input": {"pages": [], "results": []}, "output": {"up": 0, "down": 0, "text": "All pages answer: 0."}},
    {"input": {"pages": ["home"], "results": []}, "error": "uneven_lists"}
  ]
}
]]
local function reason_of(result)
  local problem = result.error
  if type(problem) ~= "table" then return "no reason is known" end
  if type(problem.message) == "string" then return problem.message end
  return type(problem.code) == "string" and problem.code or "no reason is known"
end

function run(input, context)
  local pages, results, lines = input.pages, input.results, {}
  if #pages ~= #results then fail("uneven_lists", #pages .. " pages have " .. #results .. " results") end
  for index, page in ipairs(pages) do
    local result = results[index]
    if result.status == "failed" then lines[#lines + 1] = "- " .. page .. ": " .. reason_of(result) end
  end
  local down = #lines
  if down == 0 then return { up = #pages, down = 0, text = "All pages answer: " .. #pages .. "." } end
  local head = down .. " of " .. #pages .. " pages " .. (down == 1 and "is" or "are") .. " down:"
  return { up = #pages - down, down = down, text = head .. "\n" .. table.concat(lines, "\n") }
end
