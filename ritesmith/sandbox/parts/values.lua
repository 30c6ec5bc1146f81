-- What every part needs: arguments as the reference takes them, its words for errors, and `tostring`.

local core = ...
local error, type, select, tonumber, rawget = core.error, core.type, core.select, core.tonumber, core.rawget
local raw_tostring, getinfo, debug_getmetatable = core.raw_tostring, core.debug.getinfo, core.getmetatable
local math_type, tointeger, match = core.math.type, core.math.tointeger, core.string.match
local examine, LEVELS_MAX = core.examine, core.LEVELS_MAX

-- ---------------------------------------------------------------- arguments

-- "bad argument" as the reference words it, raised at the place in the script that called.
local function bad_argument(n, name, what)
  local level = 2
  while level < LEVELS_MAX do
    local info = getinfo(level, "S")
    if not info or info.short_src ~= "?" then break end
    level = level + 1
  end
  local here = getinfo(level - 1, "n") or {}
  local place = getinfo(level, "Sl")
  local prefix = place and place.currentline > 0 and place.short_src .. ":" .. place.currentline .. ": " or ""
  if here.namewhat == "method" then
    n = n - 1
    if n == 0 then
      error(prefix .. "calling '" .. (here.name or name) .. "' on bad self (" .. what .. ")", 0)
    end
  end
  error(prefix .. "bad argument #" .. n .. " to '" .. (here.name or name) .. "' (" .. what .. ")", 0)
end

-- An error of a library function, raised at the place in the script that called it.
local function library_error(what)
  for level = 2, LEVELS_MAX do
    local info = getinfo(level, "Sl")
    if not info then break end
    if info.short_src ~= "?" then
      if info.currentline > 0 then what = info.short_src .. ":" .. info.currentline .. ": " .. what end
      break
    end
  end
  error(what, 0)
end

local function type_name(value)
  local meta = debug_getmetatable(value)
  local name = meta and rawget(meta, "__name")
  if type(name) == "string" then return name end
  return type(value)
end

-- The answer of a function of the reference called under protection; its error is raised where the script called us.
local function finish(name, ok, ...)
  if ok then return ... end
  local problem = ...
  if type(problem) ~= "string" then error(problem, 0) end
  local n, what = match(problem, "^bad argument #(%d+) to '[^']*' %((.*)%)$")
  if n then bad_argument(tointeger(n), name, what) end
  library_error(examine(problem))
end

-- An absent argument is shown as nil: our functions do not tell the two apart.
local function expected(n, name, kind, value)
  bad_argument(n, name, kind .. " expected, got " .. type_name(value))
end

-- The string of argument n (numbers are strings here too), or an error.
local function string_argument(value, n, name)
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then return value == value and raw_tostring(value) or "nan" end
  expected(n, name, "string", value)
end

-- The integer of argument n, or an error; `default` where it is absent.
local function integer_argument(value, n, name, default)
  if math_type(value) == "integer" then return value end
  if value == nil and default then return default end
  local number = value
  if type(value) == "string" then number = tonumber(value) end
  if type(number) ~= "number" then expected(n, name, "number", value) end
  local integer = tointeger(number)
  if not integer then bad_argument(n, name, "number has no integer representation") end
  return integer
end

local function table_argument(value, n, name)
  if type(value) ~= "table" then expected(n, name, "table", value) end
  return value
end

-- ---------------------------------------------------------------- tostring

-- Objects are numbered by first use: an address would differ in each process.
local numbers, numbered = core.setmetatable({}, { __mode = "k" }), 0

local function tostring(...)
  local value = ...
  local kind = type(value)
  if kind == "string" then return value end
  if kind == "number" then
    if value ~= value then return "nan" end
    return raw_tostring(value)
  end
  if kind == "nil" then
    if select("#", ...) == 0 then bad_argument(1, "tostring", "value expected") end
    return "nil"
  end
  if kind == "boolean" then return value and "true" or "false" end
  local meta = debug_getmetatable(value)
  local name = kind
  if meta then
    local shown = rawget(meta, "__tostring")
    if shown ~= nil then
      local text = shown(value)
      if type(text) == "number" then return tostring(text) end
      if type(text) ~= "string" then library_error("'__tostring' must return a string") end
      return text
    end
    shown = rawget(meta, "__name")
    if type(shown) == "string" then name = shown end
  end
  local number = numbers[value]
  if not number then
    numbered = numbered + 1
    number = numbered
    numbers[value] = number
  end
  return name .. ": #" .. raw_tostring(number)
end

core.bad_argument, core.library_error, core.expected, core.finish = bad_argument, library_error, expected, finish
core.string_argument, core.integer_argument, core.table_argument = string_argument, integer_argument, table_argument
core.type_name, core.tostring = type_name, tostring

return { tostring = tostring }
