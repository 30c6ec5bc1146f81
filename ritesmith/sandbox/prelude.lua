-- The inside of the sandbox: limits that nothing catches, and the environment by allow-list.
--
-- Runs once in a fresh runtime, before any script. It keeps what it needs, empties the real globals, and returns the
-- functions the worker drives it with. No Python object is ever passed in here: only strings and numbers. Code of ours
-- is loaded without line information, so "?" is the source of every frame that is not the script's.
--
-- Every script needs what stands here; the rest is in parts (`parts/`), of which a runtime loads those whose names its
-- script has. What a part offers is what it returns: a global's name -> a function, or a table: a library.

local json_bytecode, values_bytecode, strings_bytecode = ...

local error, type, next, select, load = error, type, next, select, load
local rawget, rawequal = rawget, rawequal
local raw_pcall, raw_setmetatable, raw_getmetatable = pcall, setmetatable, getmetatable
local collect = collectgarbage
local sub, find, match, gmatch = string.sub, string.find, string.match, string.gmatch
local raw_create, raw_resume, raw_running = coroutine.create, coroutine.resume, coroutine.running
local sethook, getinfo, debug_getmetatable = debug.sethook, debug.getinfo, debug.getmetatable
local raw_randomseed, max = math.randomseed, math.max

local CHUNK = "capability"
local FUEL_STEP = 1000
local HOST_BYTES_MAX = 1024 * 1024
-- How far up a line of the script is looked for: finding a level takes time by its depth.
local LEVELS_MAX = 100

-- The globals of our own code, which no script can name: what the parts share, and what they have of the reference.
local core = {
  coroutine = coroutine,
  debug = debug,
  error = error,
  getmetatable = debug_getmetatable,
  load = load,
  math = math,
  next = next,
  pcall = raw_pcall,
  raw_getmetatable = raw_getmetatable,
  raw_tostring = tostring,
  raw_xpcall = xpcall,
  rawequal = rawequal,
  rawget = rawget,
  rawlen = rawlen,
  rawset = rawset,
  select = select,
  setmetatable = raw_setmetatable,
  string = string,
  table = table,
  tonumber = tonumber,
  type = type,
  utf8 = utf8,

  FUEL_STEP = FUEL_STEP,
  HOST_BYTES_MAX = HOST_BYTES_MAX,
  LEVELS_MAX = LEVELS_MAX,

  fuel = 0,
  fuel_max = 0,
  fuel_of_input = 0,
  heap_peak = 0,
  calls = 0,
  calls_max = 0,
  -- The limit that ended this execution; once set, no code of the script goes on. It has its place before it is needed:
  -- there may be no memory left by then.
  dead = false,
  dead_line = false,
  -- The coroutine of the script.
  main = false,
  -- What else calls the hook, and how many instructions pass from one call to the next.
  hook_mask = "",
  hook_step = FUEL_STEP,
  -- First value of a yield that is meant for the worker and not for the script's own resume.
  HOST = {},
}

-- ---------------------------------------------------------------- limits

local heap_base
local DEAD, HOST = {}, core.HOST

-- The line of the innermost frame of the script, as seen from `level` (of `thread`, if given).
local function script_line(level, thread)
  for _ = 1, LEVELS_MAX do
    local info
    if thread then
      info = getinfo(thread, level, "Sl")
    else
      info = getinfo(level, "Sl")
    end
    if not info then return nil end
    if info.short_src == CHUNK and info.currentline > 0 then return info.currentline end
    level = level + 1
  end
  return nil
end

-- From here on every instruction of the running coroutine raises again, so that no handler gets anywhere.
local function stop(why)
  if not core.dead then
    core.dead = why
    local ok, line = raw_pcall(script_line, 3)
    core.dead_line = ok and line or nil
  end
  sethook(raw_running(), core.hook, "", 1)
  error(DEAD, 0)
end

-- Lua counts these instructions too: as many of them whatever the heap, whose size can depend on addresses.
function core.hook()
  if core.dead then stop() end
  core.fuel = core.fuel + FUEL_STEP
  core.heap_peak = max(core.heap_peak, collect("count"))
  if core.fuel > core.fuel_max then stop("fuel") end
end

-- Pay for work that runs no instruction.
local function charge(amount)
  core.fuel = core.fuel + amount
  if core.fuel > core.fuel_max then stop("fuel") end
end

-- "memory" or "stack" if that is what a caught error says; these end the execution as the other limits do.
local function exhausted(problem)
  if type(problem) ~= "string" or #problem > 300 then return nil end
  if problem == "not enough memory" then return "memory" end
  if find(problem, "stack overflow", 1, true) and find(problem, "^[^\n]*stack overflow$")
    or find(problem, "stack overflow (", 1, true)
    or find(problem, "error in error handling", 1, true) then
    return "stack"
  end
  return nil
end

-- What a protected call caught, for the script to see: our own frames leave no trace in it.
local function examine(problem)
  if type(problem) ~= "string" then return problem end
  local limit = exhausted(problem)
  if limit then stop(limit) end
  if sub(problem, 1, 6) == "?:-1: " then return sub(problem, 7) end
  return problem
end

core.charge, core.stop, core.examine, core.exhausted = charge, stop, examine, exhausted

-- What all parts share, with what the part `values` adds to it.
function core.values()
  if not core.tostring then load(values_bytecode, "=?", "b")(core) end
  return core
end

-- ---------------------------------------------------------------- the environment, by allow-list

local json = load(json_bytecode, "=?", "b")(core)
core.json = json

-- Everything a script can name, together with what parts offer. What does not stand there does not exist for it.
local environment = {
  _VERSION = _VERSION,
  assert = assert,
  error = error,
  ipairs = ipairs,
  rawequal = rawequal,
  rawget = rawget,
  rawlen = rawlen,
  rawset = rawset,
  select = select,
  tonumber = tonumber,
  type = type,
}
environment._G = environment

local libraries = {}
core.environment, core.libraries = environment, libraries

-- A library that fills itself when something of it is first looked up.
local function filled_later(library, fill)
  local meta = {}
  function meta.fill()
    raw_setmetatable(library, nil)
    fill()
  end
  function meta.__index(_, name)
    meta.fill()
    return library[name]
  end
  return raw_setmetatable(library, meta)
end

local function filled(library)
  local meta = debug_getmetatable(library)
  if meta then meta.fill() end
  return library
end

-- Scripts find libraries behind read-only fronts.
local function read_only(group, library)
  return raw_setmetatable({}, {
    __index = library,
    __metatable = false,
    __name = "library",
    __newindex = function(_, key)
      local values = core.values()
      values.library_error("the library '" .. group .. "' is read-only: '" .. values.tostring(key)
        .. "' cannot be set; write a local function instead")
    end,
    __pairs = function(front)
      local step = core.pairs(filled(library))
      return function(_, key) return step(library, key) end, front, nil
    end,
  })
end

core.filled_later, core.filled = filled_later, filled

local function offer(name, member)
  if type(member) == "table" then
    libraries[name] = member
    member = read_only(name, member)
  end
  environment[name] = member
end

-- Methods reach texts without a name. They are a third of our code, and many scripts need none of it.
local function load_texts()
  raw_setmetatable(libraries.string, nil)
  raw_setmetatable(libraries.utf8, nil)
  local loaded = load(strings_bytecode, "=?", "b")(core.values())
  for name, member in next, loaded.string do libraries.string[name] = member end
  for name, member in next, loaded.utf8 do libraries.utf8[name] = member end
end

libraries.string = filled_later({}, load_texts)
libraries.utf8 = filled_later({}, load_texts)

local text_meta = raw_getmetatable("")
text_meta.__index = libraries.string
text_meta.__metatable = false

-- ---------------------------------------------------------------- the driver, outside the script's coroutine

local chunk, input, context, output_max, input_value, context_value, reply

local function count_heap() core.heap_peak = max(core.heap_peak, collect("count")) end

local function spent()
  count_heap()
  local bytes = (core.heap_peak - heap_base) * 1024
  return core.fuel, bytes > 0 and bytes // 1 | 0 or 0, core.calls
end

local function body()
  chunk()
  local run = rawget(environment, "run")
  if type(run) ~= "function" then error(HOST, 0) end
  return (function(...)
    if select("#", ...) == 0 then return nil end
    return (...)
  end)(run(input_value, context_value))
end

local function ended(status, text, line)
  return status, text, line, spent()
end

local function shown_problem(problem)
  local kind = type(problem)
  if kind == "string" then return problem end
  if kind == "number" then return core.values().tostring(problem) end
  if kind == "table" then
    local message, code = rawget(problem, "message"), rawget(problem, "code")
    if type(message) == "string" then
      return (type(code) == "string" and code .. ": " or "") .. message
    end
    if type(code) == "string" then return code end
  end
  return "a " .. kind .. " value was raised as an error"
end

local function failed(problem)
  local ok, line = raw_pcall(script_line, 0, core.main)
  line = ok and line or nil
  if core.dead then return ended(core.dead, "", core.dead_line or line) end
  if rawequal(problem, HOST) then return ended("no_run", "", nil) end
  if type(problem) == "table" and rawequal(debug_getmetatable(problem), core.FAILURE or false) then
    local retryable = rawget(problem, "retryable") == true
    local fine, text = raw_pcall(json.encode, {
      code = rawget(problem, "code"), message = rawget(problem, "message"), retryable = retryable,
      details = rawget(problem, "details"),
    }, HOST_BYTES_MAX)
    if fine then return ended("fail", text, line) end
    return ended("script_error", "the details of fail() are " .. (json.problem(text) or "not JSON"), line)
  end
  local limit = exhausted(problem)
  if limit then return ended(limit, "", line) end
  if type(problem) == "string" then problem = examine(problem) end
  return ended("script_error", shown_problem(problem), line)
end

local function finished(value)
  if value == nil then return ended("bad_result", "nothing", nil) end
  local ok, text = raw_pcall(json.encode, value, output_max)
  if ok then
    core.fuel = core.fuel + (#text >> 3)
    if core.fuel > core.fuel_max then return ended("fuel", "", nil) end
    return ended("ok", text, nil)
  end
  if rawequal(text, json.TOO_BIG) then return ended("output_size", json.stopped_at(), nil) end
  if text == "not enough memory" then return ended("memory", "", nil) end
  if type(text) == "table" and text.json then
    return ended("bad_result", text.json .. " in " .. text.where, nil)
  end
  return ended("bad_result", shown_problem(text), nil)
end

local function went(ok, first, name, text)
  if not ok then return failed(first) end
  if core.dead then return failed(first) end
  if rawequal(first, HOST) then
    count_heap()
    return "call", text, nil, core.fuel, 0, core.calls, name
  end
  return finished(first)
end

local driver = {}

-- Load a part.
function driver.add(bytecode, ...)
  for name, member in next, load(bytecode, "=?", "b")(core, ...) do offer(name, member) end
end

-- Take up a script that was compiled.
function driver.prepare(bytecode, input_json, context_json, functions, limits_fuel, limits_calls, limits_output, seed)
  for name in gmatch(functions, "%S+") do
    local space, member = match(name, "^([%w_.]-)%.?([%w_]+)$")
    local holder = environment
    for part in gmatch(space, "[%w_]+") do
      local inner = rawget(holder, part)
      if inner == nil then
        inner = {}
        holder[part] = inner
      end
      holder = inner
    end
    holder[member] = core.host_function(name)
  end
  chunk = load(bytecode, nil, "b", environment)
  input, context = input_json, context_json
  core.fuel_max, core.calls_max, output_max, core.seed = limits_fuel, limits_calls, limits_output, seed
  raw_randomseed(seed)
  heap_base = collect("count")
  core.heap_peak = heap_base
end

-- Begin. Returns status, text, line, fuel, memory, host calls (and for a host call its name).
function driver.start()
  local ok, problem = raw_pcall(function()
    input_value = json.decode(input)
    context_value = json.decode(context)
  end)
  if not ok then
    if problem == "not enough memory" then return ended("memory", "", nil) end
    return ended("bad_input", json.problem(problem) or shown_problem(problem), nil)
  end
  core.fuel = (#input + #context) >> 3
  core.fuel_of_input = core.fuel
  if core.fuel > core.fuel_max then return ended("fuel", "", nil) end
  input, context = nil, nil
  core.main = raw_create(body)
  sethook(core.main, core.hook, core.hook_mask, core.hook_step)
  return went(raw_resume(core.main))
end

function driver.take_reply(text) reply = text end

-- Go on after a host call, with the reply taken before.
function driver.continue()
  local text = reply
  reply = nil
  return went(raw_resume(core.main, text))
end

-- For an execution that is abandoned: its line, and what was spent so far.
function driver.spent()
  local ok, line = raw_pcall(script_line, 0, core.main)
  return ok and line or nil, spent()
end

-- The outcome when not even the driver had memory left; called with the limit lifted.
function driver.exhausted() return failed("not enough memory") end

-- What the part that was loaded for that has to tell.
function driver.tell() return core.tell() end

-- ---------------------------------------------------------------- the real globals

-- lupa looks up `debug.traceback` there for each call; nothing else of ours or the script's does.
local globals = _G
for name in next, globals do globals[name] = nil end

return driver
