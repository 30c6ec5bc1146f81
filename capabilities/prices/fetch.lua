--[[ capability
{
  "name": "prices.fetch",
  "intent": "fetch the current price of a product from a shop",
  "description": "shop.example.com is an example: put your shop in its place, wherever it stands in this text.",
  "aliases": ["look up what a product costs now", "get a product price over http", "ask a web shop for a price"],
  "input": {
    "type": "object",
    "required": ["product_id"],
    "properties": {"product_id": {"type": "string", "minLength": 1, "maxLength": 100}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["product_id", "price", "currency"],
    "properties": {
      "product_id": {"type": "string"},
      "price": {"type": "number", "minimum": 0},
      "currency": {"type": "string"}
    },
    "additionalProperties": false
  },
  "grants": {"http.get_json": {"hosts": ["shop.example.com"]}},
  "examples": [
    {
      "input": {"product_id": "kettle"},
      "output": {"product_id": "kettle", "price": 39.9, "currency": "EUR"},
      "hosts": [
        {
          "call": "http.get_json",
          "with": {"url": "https://shop.example.com/api/price", "query": {"product": "kettle"}},
          "result": {"status": 200, "headers": {}, "json": {"price": 39.9, "currency": "EUR"}}
        }
      ]
    },
    {
      "input": {"product_id": "kettle"},
      "error": "product_not_found",
      "hosts": [
        {
          "call": "http.get_json",
          "with": {"url": "https://shop.example.com/api/price", "query": {"product": "kettle"}},
          "error": {"code": "http_status", "message": "status 404", "details": {"status": 404}}
        }
      ]
    },
    {
      "input": {"product_id": "kettle"},
      "error": "http_rate_limited",
      "hosts": [
        {
          "call": "http.get_json",
          "with": {"url": "https://shop.example.com/api/price", "query": {"product": "kettle"}},
          "error": {
            "code": "http_rate_limited",
            "message": "status 429",
            "retryable": true,
            "retry_after_seconds": 120
          }
        }
      ]
    },
    {
      "input": {"product_id": "kettle"},
      "error": "bad_answer",
      "hosts": [
        {
          "call": "http.get_json",
          "with": {"url": "https://shop.example.com/api/price", "query": {"product": "kettle"}},
          "result": {"status": 200, "headers": {}, "json": {"price": "39.90"}}
        }
      ]
    }
  ]
}
]]
-- Your shop, which answers with {"price": 39.9, "currency": "EUR"}: its host stands here and in the grant.
local SHOP = "https://shop.example.com/api/price"

function run(input, context)
  local fine, answer = pcall(function() return http.get_json{ url = SHOP, query = { product = input.product_id } } end)
  if not fine then
    if type(answer.details) == "table" and answer.details.status == 404 then
      fail("product_not_found", "the shop has no product '" .. input.product_id .. "'")
    end
    error(answer)
  end
  local found = answer.json
  if type(found) ~= "table" or type(found.price) ~= "number" or found.price < 0 or type(found.currency) ~= "string" then
    fail("bad_answer", "the shop's answer has no price with a currency")
  end
  return { product_id = input.product_id, price = found.price, currency = found.currency }
end
