-- JSON for scripts.

local core = ...
local charge, stop, examine, bad_argument, expected = core.charge, core.stop, core.examine, core.bad_argument,
  core.expected
local table_argument, library_error, debug_getmetatable = core.table_argument, core.library_error, core.getmetatable
local type, select, rawequal, raw_pcall, raw_setmetatable = core.type, core.select, core.rawequal, core.pcall,
  core.setmetatable
local json, HOST_BYTES_MAX = core.json, core.HOST_BYTES_MAX

local library = { null = json.null }

function library.decode(text)
  if type(text) ~= "string" then expected(1, "decode", "string", text) end
  charge(#text >> 3)
  local ok, value = raw_pcall(json.decode, text)
  if core.dead then stop() end
  if ok then return value end
  library_error(json.problem(value) or examine(value))
end

function library.encode(...)
  if select("#", ...) == 0 then bad_argument(1, "encode", "value expected") end
  local ok, text = raw_pcall(json.encode, (...), HOST_BYTES_MAX)
  if core.dead then stop() end
  if ok then
    charge(#text >> 3)
    return text
  end
  library_error("json.encode: " .. (json.problem(text) or examine(text)))
end

function library.object(value)
  if value == nil then value = {} end
  table_argument(value, 1, "object")
  if rawequal(value, json.null) or debug_getmetatable(value) then
    if rawequal(debug_getmetatable(value), json.ARRAY) then raw_setmetatable(value, json.OBJECT) end
    return value
  end
  return raw_setmetatable(value, json.OBJECT)
end

function library.array(value)
  if value == nil then value = {} end
  table_argument(value, 1, "array")
  if rawequal(debug_getmetatable(value), json.OBJECT) then raw_setmetatable(value, json.ARRAY) end
  return value
end

return { json = library }
