-- What the libraries share: arguments are checked, and an error names the function, the argument and what was found.

local complain = ...

local math_type, tointeger = math.type, math.tointeger
local sub, gsub, format, concat = string.sub, string.gsub, string.format, table.concat

local SHOWN_BYTES = 40

-- A value as a message shows it.
local function shown(value)
  local kind = type(value)
  if kind == "string" then
    local cut = sub(value, 1, SHOWN_BYTES)
    if not utf8.len(cut) then cut = gsub(cut, "[\128-\255]", "?") end
    cut = gsub(cut, "[\0-\31\127]", "?")
    return "'" .. cut .. (#value > SHOWN_BYTES and "...'" or "'")
  elseif kind == "number" or kind == "boolean" or kind == "nil" then
    return tostring(value)
  elseif value == json.null then
    return "null"
  end
  return "a " .. kind
end

-- Raised where the script called: "date.parse: ...".
local function refuse(name, what) complain(name .. ": " .. what) end

local function text(value, name, argument)
  if type(value) ~= "string" then refuse(name, argument .. " must be a string, got " .. shown(value)) end
  return value
end

-- A text with something in it.
local function some_text(value, name, argument)
  if type(value) ~= "string" or value == "" then
    refuse(name, argument .. " must be a string that is not empty, got " .. shown(value))
  end
  return value
end

-- A whole number in a range; JSON may have made a float of it.
local function whole(value, name, argument, least, most)
  local integer = math_type(value) and tointeger(value)
  if not integer or integer < least or integer > most then
    refuse(name, format("%s must be a whole number from %d to %d, got %s", argument, least, most, shown(value)))
  end
  return integer
end

local function fields(value, name, argument)
  if type(value) ~= "table" then refuse(name, argument .. " must be a table, got " .. shown(value)) end
  return value
end

-- A table that has no fields but these; an absent one counts as empty.
local function only(value, name, argument, known)
  if value == nil then return {} end
  fields(value, name, argument)
  for key in pairs(value) do
    local found = false
    for i = 1, #known do found = found or known[i] == key end
    if not found then
      refuse(name, argument .. " has the field " .. shown(key) .. "; it may have: " .. concat(known, ", "))
    end
  end
  return value
end

local function flag(value, name, argument, default)
  if value == nil then return default end
  if type(value) ~= "boolean" then refuse(name, argument .. " must be true or false, got " .. shown(value)) end
  return value
end

-- A pattern that finds this text and nothing else.
local function literal(wanted) return (gsub(wanted, "%W", "%%%0")) end

return {
  shown = shown,
  refuse = refuse,
  text = text,
  some_text = some_text,
  whole = whole,
  fields = fields,
  only = only,
  flag = flag,
  literal = literal,
}
