-- JSON to Lua values and back, by raw access only: no metamethod of a script ever runs in here.
--
-- integer <-> integer, 1.0 stays a float, null in an object is absent, null in an array is json.null, an empty object
-- is remembered, keys come out sorted. Anything that is not JSON is an error that says where.

local core = ...
local string, rawset_mt, rawget_mt = core.string, core.setmetatable, core.getmetatable
local type, next, rawlen, rawget, rawequal, error, tonumber = core.type, core.next, core.rawlen, core.rawget,
  core.rawequal, core.error, core.tonumber
local byte, sub, find, match, gsub, format = string.byte, string.sub, string.find, string.match, string.gsub,
  string.format
local concat, sort, math_type = core.table.concat, core.table.sort, core.math.type
local utf8_char, utf8_len = core.utf8.char, core.utf8.len

local DEPTH_MAX = 64

-- The hidden marks. An empty table without a mark is written as [].
local OBJECT, ARRAY = {}, {}

local null = rawset_mt({}, {
  __metatable = false,
  __tostring = function() return "null" end,
  __name = "json.null",
  __newindex = function() error("json.null cannot be written", 2) end,
})

-- ---------------------------------------------------------------- text -> value

local text, at, array_null

local function refuse(what)
  error({ json = what .. " at byte " .. at }, 0)
end

local ESCAPES = { ["b"] = "\b", ["f"] = "\f", ["n"] = "\n", ["r"] = "\r", ["t"] = "\t", ['"'] = '"', ["\\"] = "\\", ["/"] = "/" }

-- `at` stands behind the opening quote; afterwards behind the closing one.
local function read_string()
  local stop = find(text, '["\\\0-\31]', at)
  if stop and byte(text, stop) == 34 then
    local value = sub(text, at, stop - 1)
    at = stop + 1
    return value
  end
  local parts, n = {}, 0
  while true do
    if not stop then refuse("a string without an end") end
    n = n + 1
    parts[n] = sub(text, at, stop - 1)
    local c = byte(text, stop)
    if c == 34 then
      at = stop + 1
      return concat(parts, "", 1, n)
    elseif c ~= 92 then
      at = stop
      refuse("a control character in a string")
    end
    local kind = sub(text, stop + 1, stop + 1)
    at = stop + 2
    n = n + 1
    if ESCAPES[kind] then
      parts[n] = ESCAPES[kind]
    elseif kind == "u" then
      local hex = match(text, "^%x%x%x%x", at)
      if not hex then refuse("a wrong \\u escape") end
      local code = tonumber(hex, 16)
      at = at + 4
      if code >= 0xD800 and code <= 0xDBFF then
        local low = match(text, "^\\u([dD][c-fC-F]%x%x)", at)
        if not low then refuse("half of a surrogate pair") end
        code = 0x10000 + ((code - 0xD800) << 10) + (tonumber(low, 16) - 0xDC00)
        at = at + 6
      elseif code >= 0xDC00 and code <= 0xDFFF then
        refuse("half of a surrogate pair")
      end
      parts[n] = utf8_char(code)
    else
      refuse("a wrong escape")
    end
    stop = find(text, '["\\\0-\31]', at)
  end
end

local function read_number()
  local digits, stop = match(text, "^(-?%d+)()", at)
  if not digits or find(digits, "^-?0%d") then refuse("a wrong number") end
  local c = byte(text, stop)
  if c == 46 or c == 101 or c == 69 then
    if c == 46 then
      stop = match(text, "^%.%d+()", stop)
      if not stop then refuse("a wrong number") end
      c = byte(text, stop)
    end
    if c == 101 or c == 69 then
      stop = match(text, "^[eE][+-]?%d+()", stop)
      if not stop then refuse("a wrong number") end
    end
    digits = sub(text, at, stop - 1)
  end
  if #digits > 190 then
    -- Lua reads no number longer than 200 characters.
    refuse("a number of more than 190 characters")
  end
  local value = tonumber(digits)
  if value - value ~= 0 then refuse("a number out of range") end
  at = stop
  return value
end

local read_value

local function skip_space()
  at = match(text, "^[ \t\r\n]*()", at)
  return byte(text, at)
end

local function read_array(depth)
  local list, n = {}, 0
  local c = byte(text, at)
  if c == 32 or c == 10 or c == 13 or c == 9 then c = skip_space() end
  if c == 93 then
    at = at + 1
    return rawset_mt(list, ARRAY)
  end
  while true do
    n = n + 1
    local value = read_value(depth)
    if value == nil then value = array_null end
    list[n] = value
    c = byte(text, at)
    if c == 32 or c == 10 or c == 13 or c == 9 then c = skip_space() end
    at = at + 1
    if c == 93 then return list end
    if c ~= 44 then
      at = at - 1
      refuse("',' or ']' is missing")
    end
  end
end

local function read_object(depth)
  local object = rawset_mt({}, OBJECT)
  local c = byte(text, at)
  if c == 32 or c == 10 or c == 13 or c == 9 then c = skip_space() end
  if c == 125 then
    at = at + 1
    return object
  end
  while true do
    if c ~= 34 then refuse("a key is missing") end
    at = at + 1
    local key = read_string()
    c = byte(text, at)
    if c == 32 or c == 10 or c == 13 or c == 9 then c = skip_space() end
    if c ~= 58 then refuse("':' is missing") end
    at = at + 1
    object[key] = read_value(depth)
    c = byte(text, at)
    if c == 32 or c == 10 or c == 13 or c == 9 then c = skip_space() end
    at = at + 1
    if c == 125 then return object end
    if c ~= 44 then
      at = at - 1
      refuse("',' or '}' is missing")
    end
    c = byte(text, at)
    if c == 32 or c == 10 or c == 13 or c == 9 then c = skip_space() end
  end
end

-- The value at `at`; nil stands for null.
function read_value(depth)
  local c = byte(text, at)
  if c == 32 or c == 10 or c == 13 or c == 9 then c = skip_space() end
  if c == 34 then
    at = at + 1
    return read_string()
  elseif c == 123 or c == 91 then
    depth = depth + 1
    if depth > DEPTH_MAX then refuse("deeper than " .. DEPTH_MAX .. " levels") end
    at = at + 1
    if c == 123 then return read_object(depth) end
    return read_array(depth)
  elseif c == 116 and sub(text, at, at + 3) == "true" then
    at = at + 4
    return true
  elseif c == 102 and sub(text, at, at + 4) == "false" then
    at = at + 5
    return false
  elseif c == 110 and sub(text, at, at + 3) == "null" then
    at = at + 4
    return nil
  elseif c and (c == 45 or (c >= 48 and c <= 57)) then
    return read_number()
  elseif c then
    refuse("not JSON")
  end
  refuse("the text ends too early")
end

-- The value of a JSON text. Raises {json = what is wrong}.
local function decode(json_text)
  text, at, array_null = json_text, 1, null
  local value = read_value(0)
  if skip_space() then refuse("something follows the value") end
  text = nil
  if value == nil then return null end
  return value
end

-- ---------------------------------------------------------------- value -> text

local parts, count, size, size_max, open, known

local ESCAPED = { ["\b"] = "\\b", ["\f"] = "\\f", ["\n"] = "\\n", ["\r"] = "\\r", ["\t"] = "\\t", ['"'] = '\\"',
  ["\\"] = "\\\\" }

local function escaped(c)
  return ESCAPED[c] or format("\\u%04x", byte(c))
end

local TOO_BIG = {}

local function wrong(what, path)
  error({ json = what, path = path }, 0)
end

local function quoted(value, path)
  if size + #value > size_max then error(TOO_BIG, 0) end
  if find(value, "[\128-\255]") and not utf8_len(value) then wrong("a string that is not UTF-8", path) end
  if find(value, '[\0-\31"\\]') then value = gsub(value, '[\0-\31"\\]', escaped) end
  return '"' .. value .. '"'
end

-- The shortest digits that read back as the same float; a float keeps its point or exponent.
local function float_text(value, path)
  if value ~= value then wrong("nan, which is not JSON", path) end
  if value - value ~= 0 then wrong("infinity, which is not JSON", path) end
  local shown = format("%.15g", value)
  if tonumber(shown) ~= value then
    shown = format("%.16g", value)
    if tonumber(shown) ~= value then shown = format("%.17g", value) end
  end
  if not find(shown, "[.e]") then shown = shown .. ".0" end
  return shown
end

local function put(piece)
  size = size + #piece
  if size > size_max then error(TOO_BIG, 0) end
  count = count + 1
  parts[count] = piece
end

local write

-- Keys are bounded by what may be written before they are sorted.
local function sorted_keys(object, path)
  local keys, n, room = {}, 0, size_max - size
  for key in next, object do
    if type(key) ~= "string" then
      if n > 0 then wrong("a table with both text keys and other keys", path) end
      if math_type(key) == "integer" then wrong("a list with holes (or not starting at 1)", path) end
      wrong("a table with a key that is a " .. type(key), path)
    end
    n = n + 1
    keys[n] = key
    room = room - 4
    if room < 0 then error(TOO_BIG, 0) end
  end
  sort(keys)
  return keys, n
end

local function write_table(value, depth, path)
  -- Never `==`: it would call an __eq of the script, where no hook counts.
  if rawequal(value, null) then return put("null") end
  if depth >= DEPTH_MAX then wrong("a value deeper than " .. DEPTH_MAX .. " levels (or one that contains itself)", path) end
  if open[value] then wrong("a table that contains itself", path) end
  open[value] = true
  local length = rawlen(value)
  if length > 0 then
    local n = 0
    for key in next, value do
      n = n + 1
      if math_type(key) ~= "integer" then wrong("a table with both list items and other keys", path) end
      if key < 1 or key > length then wrong("a list with holes", path) end
    end
    if n ~= length then wrong("a list with holes", path) end
    put("[")
    for i = 1, length do
      if i > 1 then put(",") end
      write(rawget(value, i), depth + 1, path, i)
    end
    put("]")
  elseif next(value) == nil then
    put(rawequal(rawget_mt(value), OBJECT) and "{}" or "[]")
  else
    local keys, n = sorted_keys(value, path)
    for i = 1, n do
      local key = keys[i]
      local shown = known[key]
      if not shown then
        shown = quoted(key, path) .. ":"
        known[key] = shown
      end
      put(i == 1 and "{" .. shown or "," .. shown)
      write(rawget(value, key), depth + 1, path, key)
    end
    put("}")
  end
  open[value] = nil
end

function write(value, depth, path, key)
  local kind = type(value)
  if kind == "string" then
    path[depth] = key
    put(quoted(value, path))
  elseif kind == "number" then
    if math_type(value) == "integer" then
      put(format("%d", value))
    else
      path[depth] = key
      put(float_text(value, path))
    end
  elseif kind == "table" then
    path[depth] = key
    write_table(value, depth, path)
    path[depth + 1] = nil
  elseif kind == "boolean" then
    put(value and "true" or "false")
  elseif kind == "nil" then
    put("null")
  else
    path[depth] = key
    wrong("a " .. (kind == "thread" and "coroutine" or kind), path)
  end
end

-- "$.items[3].name"
local function path_text(path, depth)
  local out = { "$" }
  for i = 1, depth do
    local key = path[i]
    if key == nil then break end
    if math_type(key) == "integer" then
      out[#out + 1] = "[" .. format("%d", key) .. "]"
    else
      out[#out + 1] = "." .. gsub(sub(key, 1, 60), "[\0-\31\127-\255]", "?")
    end
  end
  return sub(concat(out), 1, 300)
end

-- Where the last text that became too large stood when it was given up.
local stopped_path
local function stopped_at()
  return stopped_path and path_text(stopped_path, DEPTH_MAX) or ""
end

-- The JSON text of a value, at most `most` bytes. Raises TOO_BIG, or {json = what is wrong, where = path}.
local function encode(value, most)
  parts, count, size, size_max, open, known = {}, 0, 0, most, {}, {}
  local path = {}
  local ok, problem = core.pcall(write, value, 0, path, nil)
  local done = parts
  parts, open, known = nil, nil, nil
  if ok then return concat(done, "", 1, count) end
  if type(problem) == "table" and problem.json then
    local shown = path_text(path, DEPTH_MAX)
    error({ json = problem.json, where = shown }, 0)
  end
  stopped_path = path
  error(problem, 0)
end

-- What a caught problem of `decode` or `encode` says, or nil where it is none of theirs.
local function shown(problem)
  if rawequal(problem, TOO_BIG) then return "more than " .. core.HOST_BYTES_MAX .. " bytes of JSON" end
  if type(problem) == "table" and problem.json then
    return problem.json .. (problem.where and problem.where ~= "$" and " in " .. problem.where or "")
  end
  return nil
end

return {
  null = null,
  OBJECT = OBJECT,
  ARRAY = ARRAY,
  TOO_BIG = TOO_BIG,
  stopped_at = stopped_at,
  decode = decode,
  encode = encode,
  problem = shown,
}
