-- Metatables without what would run or vanish where nothing counts it.

local core = ...
local expected, bad_argument, library_error = core.expected, core.bad_argument, core.library_error
local table_argument, debug_getmetatable = core.table_argument, core.getmetatable
local type, select, rawget, rawset, rawequal = core.type, core.select, core.rawget, core.rawset, core.rawequal
local raw_setmetatable, raw_getmetatable = core.setmetatable, core.raw_getmetatable
local json = core.json

local function setmetatable(...)
  local object, meta = ...
  table_argument(object, 1, "setmetatable")
  if type(meta) ~= "table" and (meta ~= nil or select("#", ...) < 2) then
    expected(2, "setmetatable", "nil or table", meta)
  end
  local present = debug_getmetatable(object)
  if present and rawget(present, "__metatable") ~= nil then library_error("cannot change a protected metatable") end
  if meta then
    if rawget(meta, "__mode") ~= nil then
      library_error("weak tables ('__mode') are not offered: what they hold would depend on the garbage collector")
    end
    -- A finalizer runs where no hook fires. Without this field at this moment it is never called.
    local finalizer = rawget(meta, "__gc")
    if finalizer ~= nil then
      rawset(meta, "__gc", nil)
      raw_setmetatable(object, meta)
      rawset(meta, "__gc", finalizer)
      return object
    end
  end
  return raw_setmetatable(object, meta)
end

local function getmetatable(...)
  local object = ...
  if object == nil and select("#", ...) == 0 then bad_argument(1, "getmetatable", "value expected") end
  local meta = raw_getmetatable(object)
  if rawequal(meta, json.OBJECT) or rawequal(meta, json.ARRAY) then return nil end
  return meta
end

return { getmetatable = getmetatable, setmetatable = setmetatable }
