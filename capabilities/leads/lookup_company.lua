--[[ capability
{
  "name": "leads.lookup_company",
  "intent": "look up the company behind an e-mail address",
  "description": "companies.example.com is an example: put your service in its place. Its key is a secret.",
  "aliases": ["enrich a lead with company data", "find the company of a contact by its domain"],
  "input": {
    "type": "object",
    "required": ["email"],
    "properties": {"email": {"type": "string"}},
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["company", "industry", "employees"],
    "properties": {
      "company": {"type": "string"},
      "industry": {"type": "string"},
      "employees": {"type": "integer", "minimum": 0}
    },
    "additionalProperties": false
  },
  "grants": {"http.get_json": {"hosts": ["companies.example.com"], "secrets": ["COMPANIES_KEY"]}},
  "examples": [
    {
      "input": {"email": "ann@acme.example"},
      "output": {"company": "Acme", "industry": "tools", "employees": 250},
      "hosts": [
        {
          "call": "http.get_json",
          "with": {
            "url": "https://companies.example.com/v1/lookup",
            "query": {"domain": "acme.example"},
            "auth": {"bearer": {"secret": "COMPANIES_KEY"}}
          },
          "result": {"status": 200, "headers": {}, "json": {"name": "Acme", "industry": "tools", "employees": 250}}
        }
      ]
    },
    {
      "input": {"email": "Ann@ACME.example"},
      "output": {"company": "Acme", "industry": "", "employees": 0},
      "hosts": [
        {
          "call": "http.get_json",
          "with": {
            "url": "https://companies.example.com/v1/lookup",
            "query": {"domain": "acme.example"},
            "auth": {"bearer": {"secret": "COMPANIES_KEY"}}
          },
          "result": {"status": 200, "headers": {}, "json": {"name": "Acme", "industry": null}}
        }
      ]
    },
    {
      "input": {"email": "ann@acme.example"},
      "error": "company_unknown",
      "hosts": [
        {
          "call": "http.get_json",
          "with": {
            "url": "https://companies.example.com/v1/lookup",
            "query": {"domain": "acme.example"},
            "auth": {"bearer": {"secret": "COMPANIES_KEY"}}
          },
          "error": {"code": "http_status", "message": "status 404", "details": {"status": 404}}
        }
      ]
    },
    {
      "input": {"email": "ann@acme.example"},
      "error": "http_server_error",
      "hosts": [
        {
          "call": "http.get_json",
          "with": {
            "url": "https://companies.example.com/v1/lookup",
            "query": {"domain": "acme.example"},
            "auth": {"bearer": {"secret": "COMPANIES_KEY"}}
          },
          "error": {"code": "http_server_error", "message": "status 503", "retryable": true}
        }
      ]
    },
    {
      "input": {"email": "ann@acme.example"},
      "error": "bad_answer",
      "hosts": [
        {
          "call": "http.get_json",
          "with": {
            "url": "https://companies.example.com/v1/lookup",
            "query": {"domain": "acme.example"},
            "auth": {"bearer": {"secret": "COMPANIES_KEY"}}
          },
          "result": {"status": 200, "headers": {}, "json": []}
        }
      ]
    },
    {"input": {"email": "ann"}, "error": "invalid_address"}
  ]
}
]]
-- Your service: its host stands here and in the grant.
local SERVICE = "https://companies.example.com/v1/lookup"

local function answer_for(domain)
  local fine, answer = pcall(function()
    return http.get_json{ url = SERVICE, query = { domain = domain }, auth = { bearer = { secret = "COMPANIES_KEY" } } }
  end)
  if fine then return answer.json end
  if type(answer.details) == "table" and answer.details.status == 404 then
    fail("company_unknown", "no company is known for '" .. domain .. "'")
  end
  error(answer)
end

function run(input, context)
  local domain = input.email:match("^[^@%s]+@([%w.-]+)$")
  if not domain then fail("invalid_address", "'" .. input.email .. "' is not an e-mail address") end
  local found = answer_for(domain:lower())
  if type(found) ~= "table" or type(found.name) ~= "string" then
    fail("bad_answer", "the service's answer has no name of a company")
  end
  local industry = type(found.industry) == "string" and found.industry or ""
  local employees = math.type(found.employees) == "integer" and math.max(0, found.employees) or 0
  return { company = found.name, industry = industry, employees = employees }
end
