--[[ capability
{
  "name": "contacts.save",
  "intent": "save a contact in the address book",
  "aliases": ["add or update a contact", "store a person with an e-mail address"],
  "input": {
    "type": "object",
    "required": ["contact"],
    "properties": {
      "contact": {"type": "object", "description": "has a field email; under one address there is one contact"}
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["contact_id", "contact_before", "version"],
    "properties": {
      "contact_id": {"type": "string"},
      "contact_before": {"type": ["object", "null"], "description": "what stood there before"},
      "version": {"type": "integer", "minimum": 1}
    },
    "additionalProperties": false
  },
  "grants": {"store.get": {"namespaces": ["contacts"]}, "store.put": {"namespaces": ["contacts"]}},
  "compensated_by": "contacts.restore",
  "examples": [
    {
      "input": {"contact": {"email": "Ann@example.org", "name": "Ann"}},
      "output": {"contact_id": "ann@example.org", "contact_before": null, "version": 1},
      "store_after": {"contacts": {"ann@example.org": {"email": "Ann@example.org", "name": "Ann"}}}
    },
    {
      "input": {"contact": {"email": "Ann@example.org", "name": "Ann"}},
      "output": {
        "contact_id": "ann@example.org",
        "contact_before": {"email": "ann@example.org", "name": "A."},
        "version": 2
      },
      "store": {"contacts": {"ann@example.org": {"email": "ann@example.org", "name": "A."}}},
      "store_after": {"contacts": {"ann@example.org": {"email": "Ann@example.org", "name": "Ann"}}}
    },
    {"input": {"contact": {"name": "Ann"}}, "error": "no_address"},
    {"input": {"contact": {"email": "ann", "name": "Ann"}}, "error": "invalid_address"}
  ]
}
]]
function run(input, context)
  local email = input.contact.email
  if type(email) ~= "string" then fail("no_address", "the contact has no e-mail address") end
  if not email:find("^[^@%s%c]+@[^@%s%c]+$") then
    fail("invalid_address", "'" .. email .. "' is not an e-mail address")
  end
  local contact_id = email:lower()
  local found = store.get{ namespace = "contacts", key = contact_id }
  local put = store.put{ namespace = "contacts", key = contact_id, value = input.contact, if_version = found.version }
  local before = found.value or json.null
  return { contact_id = contact_id, contact_before = before, version = put.version }
end
