-- The inside of the sandbox: limits that nothing catches, and the environment by allow-list.
--
-- Runs once in a fresh runtime, before any script. It keeps what it needs in locals, empties the real globals, and
-- returns the functions the worker drives it with. No Python object is ever passed in here: only strings and numbers.
-- Code of ours is loaded without line information, so "?" is the source of every frame that is not the script's.

local make_json, make_tables, strings_bytecode = ...

local error, type, next, select, tonumber, load = error, type, next, select, tonumber, load
local rawget, rawset, rawequal, rawlen = rawget, rawset, rawequal, rawlen
local raw_pcall, raw_xpcall, raw_tostring = pcall, xpcall, tostring
local raw_setmetatable, raw_getmetatable = setmetatable, getmetatable
local collect = collectgarbage
local sub, find, match = string.sub, string.find, string.match
local gmatch, concat = string.gmatch, table.concat
local math_type, tointeger = math.type, math.tointeger
local raw_create, raw_resume, raw_yield, raw_running = coroutine.create, coroutine.resume, coroutine.yield,
  coroutine.running
local raw_status, raw_isyieldable = coroutine.status, coroutine.isyieldable
local sethook, getinfo, getlocal, debug_getmetatable = debug.sethook, debug.getinfo, debug.getlocal, debug.getmetatable
local raw_random, raw_randomseed = math.random, math.randomseed

local CHUNK = "capability"
local FUEL_STEP = 1000
-- What else calls the hook, and how many instructions pass from one call to the next.
local hook_mask, hook_step = "", FUEL_STEP
-- A coroutine counts from zero, so up to FUEL_STEP instructions of each go unseen; this pays for them.
local COROUTINE_FUEL = 1200
local HOST_BYTES_MAX = 1024 * 1024
-- How far up a line of the script is looked for: finding a level takes time by its depth.
local LEVELS_MAX = 100

-- ---------------------------------------------------------------- limits

local fuel, fuel_max = 0, 0
local heap_base, heap_peak = 0, 0
local calls, calls_max = 0, 0
-- The limit that ended this execution; once set, no code of the script goes on.
local dead, dead_line
local DEAD = {}
-- First value of a yield that is meant for the worker and not for the script's own resume.
local HOST = {}
local main

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

local hook

-- From here on every instruction of the running coroutine raises again, so that no handler gets anywhere.
local function stop(why)
  if not dead then
    dead = why
    local ok, line = raw_pcall(script_line, 3)
    dead_line = ok and line or nil
  end
  sethook(raw_running(), hook, "", 1)
  error(DEAD, 0)
end

function hook()
  if dead then stop() end
  fuel = fuel + FUEL_STEP
  local heap = collect("count")
  if heap > heap_peak then heap_peak = heap end
  if fuel > fuel_max then stop("fuel") end
end

-- Pay for work that runs no instruction.
local function charge(amount)
  fuel = fuel + amount
  if fuel > fuel_max then stop("fuel") end
end

-- The profile is a mode of its own: there the hook is called for each instruction, line and return, and does for every
-- FUEL_STEP of a coroutine what it does otherwise. Lua counts the hook's own instructions too: 15, and 16 where the heap
-- has a new peak. It leaves no garbage, or the collector would run at other times than without a profile.
local HOOK_FUEL = 15
local instructions, charges, charged_before, fuel_of_input, uncounted, overhead
local passed_of = raw_setmetatable({}, { __mode = "k" })
local counting_hook = hook

-- Where the script is, or was when it called us; 0 before it begins. After a return that has to be looked up.
local line_now, line_unknown = 0, false
-- The text that an error at a line begins with -> the line. Once such a text is there, making it again takes no memory.
local line_of = {}

local function look_up_line()
  for level = 4, 20 do
    local _, place = raw_pcall(error, "", level)
    if place ~= "" then
      if not line_of[place] then line_of[place] = tointeger(match(place, ":(%d+): $")) end
      line_now = line_of[place]
      break
    end
  end
  line_unknown = false
end

local function profiling_hook(event, line)
  if dead then stop() end
  if event == "line" then
    -- The instruction that was counted just now is the first of this line. Our own code has no lines.
    if line then
      instructions[line_now] = instructions[line_now] - 1
      instructions[line] = (instructions[line] or 0) + 1
      line_now = line
    end
    return
  elseif event ~= "count" then
    line_unknown = true
    return
  end
  if line_unknown then look_up_line() end
  instructions[line_now] = (instructions[line_now] or 0) + 1
  if fuel ~= charged_before then
    charges[line_now] = (charges[line_now] or 0) + fuel - charged_before
    charged_before = fuel
  end
  uncounted = uncounted + 1
  local thread = raw_running()
  local passed = (passed_of[thread] or 0) + 1
  if passed == FUEL_STEP then
    uncounted = uncounted - FUEL_STEP
    charged_before = fuel + FUEL_STEP
    local peak = heap_peak
    counting_hook()
    passed = heap_peak > peak and HOOK_FUEL + 1 or HOOK_FUEL
    uncounted, overhead = uncounted + passed, overhead + passed
  end
  passed_of[thread] = passed
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

-- A script's closing handlers run before a protected call returns what it caught. One that raises or yields there could
-- hide the error it was called for. Of a full stack we hear first, by `noticed`, but Lua calls no message handler when
-- memory is full; so before an error or a yield leaves a handler, the protected calls below are asked what they hold.
-- Out of memory, Lua has collected all garbage first: a thread whose token outlived that has nothing to be asked. Only
-- the buffers of library functions fail without, so those that can be large are called under protection of our own.
local tokens = raw_setmetatable({}, { __mode = "kv" })

local function look_back()
  local thread = raw_running()
  if tokens[thread] then return end
  local level = 2
  local info = getinfo(level, "f")
  while info do
    -- Of such a frame one sees the function, `noticed` and `true`; while it leaves a call, also the stack of what it
    -- leaves, and on top the error.
    if info.func == raw_xpcall and getlocal(level, 4) then
      local last, beyond = 4, 8
      while getlocal(level, beyond) do last, beyond = beyond, beyond * 2 end
      while beyond - last > 1 do
        local middle = (last + beyond) // 2
        if getlocal(level, middle) then last = middle else beyond = middle end
      end
      local _, problem = getlocal(level, last)
      if problem == "not enough memory" then stop("memory") end
    end
    level = level + 1
    -- A level is found by counting from the top.
    if level > LEVELS_MAX then charge(level >> 3) end
    info = getinfo(level, "f")
  end
  tokens[thread] = {}
end

-- The message handler of every protected call in which code of the script runs: called where an error is raised, before
-- anything is left.
local function noticed(problem)
  if dead then return problem end
  local limit = exhausted(problem)
  if limit then stop(limit) end
  look_back()
  return problem
end

local function settle(ok, ...)
  if dead then stop() end
  if ok then return true, ... end
  return false, examine((...))
end

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
local numbers, numbered = raw_setmetatable({}, { __mode = "k" }), 0

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

-- ---------------------------------------------------------------- the parts

local core = {
  charge = charge,
  stop = stop,
  examine = examine,
  pcall = raw_pcall,
  type = type,
  next = next,
  select = select,
  tonumber = tonumber,
  string = string,
  table = table,
  math = math,
  utf8 = utf8,
  setmetatable = raw_setmetatable,
  getmetatable = debug_getmetatable,
  tostring = tostring,
  raw_tostring = raw_tostring,
  bad_argument = bad_argument,
  library_error = library_error,
  expected = expected,
  finish = finish,
  string_argument = string_argument,
  integer_argument = integer_argument,
  table_argument = table_argument,
  type_name = type_name,
}

local json = make_json(core)
local tables = make_tables(core)

-- ---------------------------------------------------------------- failures

-- The metatable marks what `fail` and host functions raise: uncaught, it ends the execution as `fail` with its code.
local FAILURE
FAILURE = {
  __metatable = false,
  __name = "failure",
  __tostring = function(failure)
    return tostring(rawget(failure, "code")) .. ": " .. tostring(rawget(failure, "message"))
  end,
}

local function fail(code, message, options)
  if type(code) ~= "string" then expected(1, "fail", "string", code) end
  if #code > 100 or not find(code, "^[%w_][%w_.-]*$") then
    bad_argument(1, "fail", "a code is made of letters, digits, '_', '.' and '-'")
  end
  if message == nil then message = code end
  if type(message) ~= "string" then expected(2, "fail", "string", message) end
  local failure = { code = code, message = message, retryable = false }
  if options ~= nil then
    table_argument(options, 3, "fail")
    failure.retryable = rawget(options, "retryable") == true
    failure.details = rawget(options, "details")
  end
  error(raw_setmetatable(failure, FAILURE), 0)
end

-- ---------------------------------------------------------------- host functions

local function json_problem(problem)
  if rawequal(problem, json.TOO_BIG) then return "more than " .. HOST_BYTES_MAX .. " bytes of JSON" end
  if type(problem) == "table" and problem.json then
    return problem.json .. (problem.where and problem.where ~= "$" and " in " .. problem.where or "")
  end
  return nil
end

-- A namespaced call: one table in, one value out; the reply comes from the parent through the worker.
local function host_function(name)
  return function(arguments)
    look_back()
    if arguments == nil then
      arguments = raw_setmetatable({}, json.OBJECT)
    elseif type(arguments) ~= "table" then
      expected(1, name, "table", arguments)
    elseif next(arguments) == nil then
      arguments = raw_setmetatable({}, json.OBJECT)
    end
    local ok, text = raw_pcall(json.encode, arguments, HOST_BYTES_MAX)
    if not ok then
      if dead then stop() end
      bad_argument(1, name, json_problem(text) or examine(text))
    end
    calls = calls + 1
    if calls > calls_max then stop("host_calls") end
    charge(100 + (#text >> 3))
    local reply = raw_yield(HOST, name, text)
    charge(#reply >> 3)
    local answer = json.decode(reply)
    local problem = answer.error
    if problem then error(raw_setmetatable(problem, FAILURE), 0) end
    return answer.result
  end
end

-- ---------------------------------------------------------------- base functions

local base = {}

-- `error`, `assert`, `select`, `type` and the raw functions are the reference's own.

local function protected(f, ...) return settle(raw_xpcall(f, noticed, ...)) end

function base.pcall(...)
  if select("#", ...) == 0 then bad_argument(1, "pcall", "value expected") end
  return protected(...)
end

-- The handler runs after the call has been left, not at the place of the error: inside it no hook would fire.
local function handled(handler, ok, ...)
  if dead then stop() end
  if ok then return true, ... end
  local problem = examine((...))
  for _ = 1, 10 do
    local fine, answer = raw_xpcall(handler, noticed, problem)
    if dead then stop() end
    if fine then return false, answer end
    problem = examine(answer)
  end
  return false, problem
end

function base.xpcall(f, handler, ...)
  if type(handler) ~= "function" then expected(2, "xpcall", "function", handler) end
  return handled(handler, raw_xpcall(f, noticed, ...))
end

function base.setmetatable(...)
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

function base.getmetatable(...)
  local object = ...
  if object == nil and select("#", ...) == 0 then bad_argument(1, "getmetatable", "value expected") end
  local meta = raw_getmetatable(object)
  if rawequal(meta, json.OBJECT) or rawequal(meta, json.ARRAY) then return nil end
  return meta
end

-- ---------------------------------------------------------------- coroutines

local coroutines = {}

local function create(f)
  if type(f) ~= "function" then expected(1, "create", "function", f) end
  charge(COROUTINE_FUEL)
  local thread = raw_create(f)
  sethook(thread, hook, hook_mask, hook_step)
  return thread
end

-- A host call of an inner coroutine is passed on outwards, and its reply inwards.
local function resumed(thread, ok, ...)
  if dead then stop() end
  if not ok then return false, examine((...)) end
  if rawequal((...), HOST) then
    look_back()
    return resumed(thread, raw_resume(thread, raw_yield(...)))
  end
  return true, ...
end

local function wrapped(thread, ok, ...)
  if dead then stop() end
  if not ok then error(examine((...)), 2) end
  if rawequal((...), HOST) then
    look_back()
    return wrapped(thread, raw_resume(thread, raw_yield(...)))
  end
  return ...
end

local function passed(ok, ...)
  if ok then return ... end
  error((...), 0)
end

function coroutines.resume(thread, ...)
  if type(thread) ~= "thread" then expected(1, "resume", "coroutine", thread) end
  return resumed(thread, raw_resume(thread, ...))
end

function coroutines.wrap(f)
  if type(f) ~= "function" then expected(1, "wrap", "function", f) end
  -- Leaves the to-be-closed variables of `f`, as the reference does.
  local thread = create(function(...) return passed(raw_xpcall(f, noticed, ...)) end)
  return function(...) return wrapped(thread, raw_resume(thread, ...)) end
end

function coroutines.yield(...)
  if raw_running() == main then library_error("attempt to yield from outside a coroutine") end
  look_back()
  return raw_yield(...)
end

function coroutines.running()
  local thread = raw_running()
  return thread, thread == main
end

function coroutines.isyieldable(thread)
  if thread == nil then thread = raw_running() end
  if type(thread) ~= "thread" then expected(1, "isyieldable", "coroutine", thread) end
  return thread ~= main and raw_isyieldable(thread)
end

-- ---------------------------------------------------------------- random

local seed = 0

-- Without arguments the reference would ask the clock.
local function random_seeded(...)
  if select("#", ...) == 0 then return raw_randomseed(seed) end
  return raw_randomseed(...)
end

-- ---------------------------------------------------------------- json for scripts

local json_library = {}

function json_library.decode(text)
  if type(text) ~= "string" then expected(1, "decode", "string", text) end
  charge(#text >> 3)
  local ok, value = raw_pcall(json.decode, text)
  if dead then stop() end
  if ok then return value end
  library_error(json_problem(value) or examine(value))
end

function json_library.encode(...)
  if select("#", ...) == 0 then bad_argument(1, "encode", "value expected") end
  local ok, text = raw_pcall(json.encode, (...), HOST_BYTES_MAX)
  if dead then stop() end
  if ok then
    charge(#text >> 3)
    return text
  end
  library_error("json.encode: " .. (json_problem(text) or examine(text)))
end

function json_library.object(value)
  if value == nil then value = {} end
  table_argument(value, 1, "object")
  if rawequal(value, json.null) or debug_getmetatable(value) then
    if rawequal(debug_getmetatable(value), json.ARRAY) then raw_setmetatable(value, json.OBJECT) end
    return value
  end
  return raw_setmetatable(value, json.OBJECT)
end

function json_library.array(value)
  if value == nil then value = {} end
  table_argument(value, 1, "array")
  if rawequal(debug_getmetatable(value), json.OBJECT) then raw_setmetatable(value, json.ARRAY) end
  return value
end

-- ---------------------------------------------------------------- the environment, by allow-list

-- Everything a script can name. What does not stand here does not exist for it.
local environment = {
  _VERSION = _VERSION,
  assert = assert,
  error = error,
  fail = fail,
  getmetatable = base.getmetatable,
  ipairs = ipairs,
  next = tables.next,
  pairs = tables.pairs,
  pcall = base.pcall,
  rawequal = rawequal,
  rawget = rawget,
  rawlen = rawlen,
  rawset = rawset,
  select = select,
  setmetatable = base.setmetatable,
  tonumber = tonumber,
  tostring = tostring,
  type = type,
  xpcall = base.xpcall,
}
environment._G = environment

-- The libraries, which scripts find behind read-only fronts.
local libraries = {
  coroutine = {
    create = create,
    isyieldable = coroutines.isyieldable,
    resume = coroutines.resume,
    running = coroutines.running,
    status = raw_status,
    wrap = coroutines.wrap,
    yield = coroutines.yield,
  },
  json = {
    array = json_library.array,
    decode = json_library.decode,
    encode = json_library.encode,
    null = json.null,
    object = json_library.object,
  },
  math = {
    abs = math.abs,
    acos = math.acos,
    asin = math.asin,
    atan = math.atan,
    ceil = math.ceil,
    cos = math.cos,
    deg = math.deg,
    exp = math.exp,
    floor = math.floor,
    fmod = math.fmod,
    frexp = math.frexp,
    huge = math.huge,
    ldexp = math.ldexp,
    log = math.log,
    max = math.max,
    maxinteger = math.maxinteger,
    min = math.min,
    mininteger = math.mininteger,
    modf = math.modf,
    pi = math.pi,
    rad = math.rad,
    random = raw_random,
    randomseed = random_seeded,
    sin = math.sin,
    sqrt = math.sqrt,
    tan = math.tan,
    tointeger = math.tointeger,
    type = math.type,
    ult = math.ult,
  },
  string = {},
  table = {
    concat = tables.table.concat,
    create = tables.table.create,
    insert = tables.table.insert,
    move = tables.table.move,
    pack = tables.table.pack,
    remove = tables.table.remove,
    sort = tables.table.sort,
    unpack = tables.table.unpack,
  },
  utf8 = {},
}

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

-- Texts are a third of our code, and many scripts need none of it.
local function load_texts()
  raw_setmetatable(libraries.string, nil)
  raw_setmetatable(libraries.utf8, nil)
  local loaded = load(strings_bytecode, "=?", "b")(core)
  for name, member in next, loaded.string do libraries.string[name] = member end
  for name, member in next, loaded.utf8 do libraries.utf8[name] = member end
end

filled_later(libraries.string, load_texts)
filled_later(libraries.utf8, load_texts)

local function read_only(group, library)
  return raw_setmetatable({}, {
    __index = library,
    __metatable = false,
    __name = "library",
    __newindex = function(_, key)
      library_error("the library '" .. group .. "' is read-only: '" .. tostring(key)
        .. "' cannot be set; write a local function instead")
    end,
    __pairs = function() return tables.pairs(filled(library)) end,
  })
end

for group, library in next, libraries do environment[group] = read_only(group, library) end

-- What the libraries in `libraries/` are given: of what scripts have, the part that they need, and a way to raise an
-- error where the script called. They run as code of the script does, under its limits.
local for_libraries = {
  ipairs = environment.ipairs,
  json = libraries.json,
  math = libraries.math,
  next = environment.next,
  pairs = environment.pairs,
  select = select,
  string = libraries.string,
  table = libraries.table,
  tonumber = tonumber,
  tostring = tostring,
  type = type,
  utf8 = libraries.utf8,
}
local checks

local function load_library(library, bytecode, checks_bytecode)
  if not checks then checks = load(checks_bytecode, "=?", "b", for_libraries)(library_error) end
  for name, member in next, load(bytecode, "=?", "b", for_libraries)(checks) do library[name] = member end
end

local text_meta = raw_getmetatable("")
text_meta.__index = libraries.string
text_meta.__metatable = false

-- ---------------------------------------------------------------- the driver, outside the script's coroutine

local chunk, input, context, output_max, heap_text, input_value, context_value, reply

local function count_heap()
  local heap = collect("count")
  if heap > heap_peak then heap_peak = heap end
end

local function spent()
  count_heap()
  local bytes = (heap_peak - heap_base) * 1024
  return fuel, bytes > 0 and bytes // 1 | 0 or 0, calls
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
  if kind == "number" then return tostring(problem) end
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
  local ok, line = raw_pcall(script_line, 0, main)
  line = ok and line or nil
  if dead then return ended(dead, "", dead_line or line) end
  if rawequal(problem, HOST) then return ended("no_run", "", nil) end
  if type(problem) == "table" and rawequal(debug_getmetatable(problem), FAILURE) then
    local retryable = rawget(problem, "retryable") == true
    local fine, text = raw_pcall(json.encode, {
      code = rawget(problem, "code"), message = rawget(problem, "message"), retryable = retryable,
      details = rawget(problem, "details"),
    }, HOST_BYTES_MAX)
    if fine then return ended("fail", text, line) end
    return ended("script_error", "the details of fail() are " .. (json_problem(text) or "not JSON"), line)
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
    fuel = fuel + (#text >> 3)
    if fuel > fuel_max then return ended("fuel", "", nil) end
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
  if dead then return failed(first) end
  if rawequal(first, HOST) then
    count_heap()
    return "call", text, nil, fuel, 0, calls, name
  end
  return finished(first)
end

local driver = {}

-- Compile only. Returns nothing, or what the compiler says.
function driver.compile(source)
  local compiled, problem = load(source, "=" .. CHUNK, "t", environment)
  if not compiled then return problem end
  return nil
end

-- The stripped bytecode of a chunk, or nothing and what the compiler says.
local dump = string.dump
function driver.dump(source)
  local compiled, problem = load(source, "=" .. CHUNK, "t", environment)
  if not compiled then return nil, problem end
  return dump(compiled, true)
end

-- The names a script finds, as lines "global:member member ...".
function driver.offered()
  -- To load a library is work that is paid for.
  fuel_max = libraries.math.maxinteger
  local lines = {}
  for name in next, environment do
    local members = {}
    for member in next, filled(libraries[name] or {}) do members[#members + 1] = member end
    lines[#lines + 1] = name .. ":" .. concat(members, " ")
  end
  return concat(lines, "\n")
end

-- Make a library there for the script that comes: nothing of it is loaded before the script looks something up.
function driver.provide(group, bytecode, checks_bytecode)
  local library = {}
  filled_later(library, function() load_library(library, bytecode, checks_bytecode) end)
  libraries[group] = library
  environment[group] = read_only(group, library)
end

-- Take up a script. Returns what the compiler says, or nothing.
function driver.prepare(source, input_json, context_json, functions, limits_fuel, limits_calls, limits_output, run_seed)
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
    holder[member] = host_function(name)
  end
  local problem
  chunk, problem = load(source, "=" .. CHUNK, "t", environment)
  if not chunk then return problem end
  input, context = input_json, context_json
  fuel_max, calls_max, output_max, seed = limits_fuel, limits_calls, limits_output, run_seed
  raw_randomseed(seed)
  heap_base = collect("count")
  heap_peak = heap_base
  return nil
end

-- Begin. Returns status, text, line, fuel, memory, host calls (and for a host call its name).
function driver.start()
  local ok, problem = raw_pcall(function()
    input_value = json.decode(input)
    context_value = json.decode(context)
  end)
  if not ok then
    if problem == "not enough memory" then return ended("memory", "", nil) end
    return ended("bad_input", json_problem(problem) or shown_problem(problem), nil)
  end
  fuel = (#input + #context) >> 3
  fuel_of_input, charged_before = fuel, fuel
  if fuel > fuel_max then return ended("fuel", "", nil) end
  input, context = nil, nil
  main = raw_create(body)
  sethook(main, hook, hook_mask, hook_step)
  return went(raw_resume(main))
end

function driver.take_reply(text) reply = text end

-- Go on after a host call, with the reply taken before.
function driver.continue()
  local text = reply
  reply = nil
  return went(raw_resume(main, text))
end

-- For an execution that is abandoned: its line, and what was spent so far.
function driver.spent()
  local ok, line = raw_pcall(script_line, 0, main)
  return ok and line or nil, spent()
end

-- The outcome when not even the driver had memory left; called with the limit lifted.
function driver.exhausted() return failed("not enough memory") end

-- Count for each line what it spends, from the start that comes.
function driver.profile()
  instructions, charges, fuel_of_input, charged_before, uncounted, overhead = {}, {}, 0, 0, 0, 0
  hook, hook_mask, hook_step = profiling_hook, "lr", 1
end

-- What was counted: fuel of the input, fuel of the output (or of what ended it), instructions of the script that no
-- FUEL_STEP holds, instructions of the hook that one holds; then lines "line instructions charges".
function driver.profiled()
  local rest = fuel - charged_before
  if dead and rest > 0 then
    local line = dead_line or 0
    instructions[line] = instructions[line] or 0
    charges[line] = (charges[line] or 0) + rest
    rest = 0
  end
  local told = {}
  for line, count in next, instructions do told[#told + 1] = line .. " " .. count .. " " .. (charges[line] or 0) end
  return concat({ fuel_of_input, rest, uncounted, overhead }, " ") .. "\n" .. concat(told, "\n")
end

-- ---------------------------------------------------------------- the real globals

-- lupa looks up `debug.traceback` there for each call; nothing else of ours or the script's does.
local globals = _G
for name in next, globals do globals[name] = nil end

return driver.compile, driver.dump, driver.offered, driver.provide, driver.prepare, driver.start, driver.take_reply,
  driver.continue, driver.spent, driver.exhausted, driver.profile, driver.profiled
