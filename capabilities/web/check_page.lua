--[[ capability
{
  "name": "web.check_page",
  "intent": "check whether a web page answers",
  "description": "The pages are examples: change them, in the table of the script, and their hosts in the grant.",
  "aliases": ["is a website up", "ping a url and see if it responds", "uptime check of one page"],
  "input": {
    "type": "object",
    "required": ["page"],
    "properties": {"page": {"type": "string", "description": "name of the page in the table of the script"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["url", "http_status"],
    "properties": {"url": {"type": "string"}, "http_status": {"type": "integer", "minimum": 200, "maximum": 399}},
    "additionalProperties": false
  },
  "grants": {"http.request": {"hosts": ["www.example.com", "shop.example.com"], "methods": ["GET"]}},
  "examples": [
    {
      "input": {"page": "home"},
      "output": {"url": "https://www.example.com/", "http_status": 200},
      "hosts": [
        {
          "call": "http.request",
          "with": {"url": "https://www.example.com/"},
          "result": {"status": 200, "headers": {}, "text": "Welcome"}
        }
      ]
    },
    {
      "input": {"page": "shop"},
      "output": {"url": "https://shop.example.com/health", "http_status": 204},
      "hosts": [
        {
          "call": "http.request",
          "with": {"url": "https://shop.example.com/health"},
          "result": {"status": 204, "headers": {}}
        }
      ]
    },
    {
      "input": {"page": "home"},
      "error": "page_down",
      "hosts": [
        {
          "call": "http.request",
          "with": {"url": "https://www.example.com/"},
          "result": {"status": 404, "headers": {}, "text": "Not found"}
        }
      ]
    },
    {
      "input": {"page": "home"},
      "error": "http_timeout",
      "hosts": [
        {
          "call": "http.request",
          "with": {"url": "https://www.example.com/"},
          "error": {"code": "http_timeout", "message": "no answer within 30 s", "retryable": true}
        }
      ]
    },
    {"input": {"page": "nowhere"}, "error": "unknown_page"}
  ]
}
]]
-- Your pages: their hosts stand in the grant too.
local PAGES = {
  home = "https://www.example.com/",
  shop = "https://shop.example.com/health",
}

function run(input, context)
  local url = PAGES[input.page]
  if not url then fail("unknown_page", "'" .. input.page .. "' is none of the pages that are checked") end
  local answer = http.request{ url = url }
  if answer.status < 200 or answer.status >= 400 then
    fail("page_down", url .. " answered with status " .. answer.status)
  end
  return { url = url, http_status = answer.status }
end
