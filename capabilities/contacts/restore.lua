--[[ capability
{
  "name": "contacts.restore",
  "intent": "put a contact back as it was before it was saved",
  "aliases": ["undo the saving of a contact", "bring back the previous contact"],
  "input": {
    "type": "object",
    "required": ["contact_id", "contact_before", "version"],
    "properties": {
      "contact_id": {"type": "string", "minLength": 1},
      "contact_before": {"type": ["object", "null"], "description": "null: there was none"},
      "version": {
        "type": "integer",
        "minimum": 1,
        "description": "what the saving gave; a contact that was changed since stays"
      }
    },
    "additionalProperties": false
  },
  "output": {
    "type": "object",
    "required": ["contact_id", "restored"],
    "properties": {"contact_id": {"type": "string"}, "restored": {"type": "boolean"}},
    "additionalProperties": false
  },
  "grants": {
    "store.get": {"namespaces": ["contacts"]},
    "store.put": {"namespaces": ["contacts"]},
    "store.delete": {"namespaces": ["contacts"]}
  },
  "examples": [
    {
      "input": {"contact_id": "ann@example.org", "contact_before": null, "version": 1},
      "output": {"contact_id": "ann@example.org", "restored": true},
      "store": {"contacts": {"ann@example.org": {"email": "Ann@example.org", "name": "Ann"}}},
      "store_after": {"contacts": {"ann@example.org": null}}
    },
    {
      "input": {
        "contact_id": "ann@example.org",
        "contact_before": {"email": "ann@example.org", "name": "A."},
        "version": 1
      },
      "output": {"contact_id": "ann@example.org", "restored": true},
      "store": {"contacts": {"ann@example.org": {"email": "Ann@example.org", "name": "Ann"}}},
      "store_after": {"contacts": {"ann@example.org": {"email": "ann@example.org", "name": "A."}}}
    },
    {
      "input": {
        "contact_id": "ann@example.org",
        "contact_before": {"email": "ann@example.org", "name": "A."},
        "version": 4
      },
      "output": {"contact_id": "ann@example.org", "restored": false},
      "store": {"contacts": {"ann@example.org": {"email": "Ann@example.org", "name": "Ann"}}},
      "store_after": {"contacts": {"ann@example.org": {"email": "Ann@example.org", "name": "Ann"}}}
    },
    {"input": {"contact_id": "ann\n", "contact_before": null, "version": 1}, "error": "bad_key"}
  ]
}
]]
function run(input, context)
  local key = input.contact_id
  if key:find("[\0-\31]") then fail("bad_key", "the name of the contact has a control character") end
  local found = store.get{ namespace = "contacts", key = key }
  -- Somebody changed it since: theirs stays.
  if found.version ~= input.version then return { contact_id = key, restored = false } end
  if input.contact_before == nil or input.contact_before == json.null then
    store.delete{ namespace = "contacts", key = key }
  else
    store.put{ namespace = "contacts", key = key, value = input.contact_before, if_version = found.version }
  end
  return { contact_id = key, restored = true }
end
