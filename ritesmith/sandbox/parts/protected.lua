-- Protected calls and coroutines: what a script catches, and what it cannot.

local core = ...
local charge, stop, examine, exhausted = core.charge, core.stop, core.examine, core.exhausted
local bad_argument, library_error, expected = core.bad_argument, core.library_error, core.expected
local error, type, select, rawequal = core.error, core.type, core.select, core.rawequal
local raw_xpcall, HOST, LEVELS_MAX = core.raw_xpcall, core.HOST, core.LEVELS_MAX
local raw_create, raw_resume, raw_yield, raw_running = core.coroutine.create, core.coroutine.resume, core.coroutine.yield,
  core.coroutine.running
local raw_status, raw_isyieldable = core.coroutine.status, core.coroutine.isyieldable
local sethook, getinfo, getlocal = core.debug.sethook, core.debug.getinfo, core.debug.getlocal

-- A script's closing handlers run before a protected call returns what it caught. One that raises or yields there could
-- hide the error it was called for. Of a full stack we hear first, by `noticed`, but Lua calls no message handler when
-- memory is full; so before an error or a yield leaves a handler, the protected calls below are asked what they hold.
-- Out of memory, Lua has collected all garbage first: a thread whose token outlived that has nothing to be asked. Only
-- the buffers of library functions fail without, so those that can be large are called under protection of our own.
local tokens = core.setmetatable({}, { __mode = "kv" })
local walked = 0

-- What a protected call on the stack of a thread has caught and not yet told: the limit, or nil. Level 0 is what resumed
-- us, 1 `look_back`.
local function caught(thread)
  if tokens[thread] then return nil end
  local level = 2
  local info = getinfo(thread, level, "f")
  while info do
    -- Of such a frame one sees the function, `noticed` and `true`; while it leaves a call, also the stack of what it
    -- leaves, and on top the error.
    if info.func == raw_xpcall and getlocal(thread, level, 4) then
      local last, beyond = 4, 8
      while getlocal(thread, level, beyond) do last, beyond = beyond, beyond * 2 end
      while beyond - last > 1 do
        local middle = (last + beyond) // 2
        if getlocal(thread, level, middle) then last = middle else beyond = middle end
      end
      local _, problem = getlocal(thread, level, last)
      if problem == "not enough memory" then return "memory" end
    end
    level = level + 1
    -- A level is found by counting from the top: that is bounded, too.
    if level > LEVELS_MAX then walked = walked + (level >> 3) end
    if walked > core.fuel_max then return "fuel" end
    info = getinfo(thread, level, "f")
  end
  tokens[thread] = {}
  return nil
end

-- When the collector takes a token depends on addresses, and fuel must not: so the walk is made where no hook counts, and
-- takes the thread that asks for it one call in any case.
local walker = raw_create(function(thread)
  while true do thread = raw_yield(caught(thread)) end
end)

local function look_back()
  local ok, limit = raw_resume(walker, raw_running())
  if not ok then stop(exhausted(limit) or "memory") end
  if limit then stop(limit) end
end

-- The message handler of every protected call in which code of the script runs: called where an error is raised, before
-- anything is left.
local function noticed(problem)
  if core.dead then return problem end
  local limit = exhausted(problem)
  if limit then stop(limit) end
  look_back()
  return problem
end

local function settle(ok, ...)
  if core.dead then stop() end
  if ok then return true, ... end
  return false, examine((...))
end

core.look_back = look_back

-- ---------------------------------------------------------------- pcall, xpcall

local function protected(f, ...) return settle(raw_xpcall(f, noticed, ...)) end

local function pcall(...)
  if select("#", ...) == 0 then bad_argument(1, "pcall", "value expected") end
  return protected(...)
end

-- The handler runs after the call has been left, not at the place of the error: inside it no hook would fire.
local function handled(handler, ok, ...)
  if core.dead then stop() end
  if ok then return true, ... end
  local problem = examine((...))
  for _ = 1, 10 do
    local fine, answer = raw_xpcall(handler, noticed, problem)
    if core.dead then stop() end
    if fine then return false, answer end
    problem = examine(answer)
  end
  return false, problem
end

local function xpcall(f, handler, ...)
  if type(handler) ~= "function" then expected(2, "xpcall", "function", handler) end
  return handled(handler, raw_xpcall(f, noticed, ...))
end

-- ---------------------------------------------------------------- coroutines

-- A coroutine counts from zero, so up to FUEL_STEP instructions of each go unseen; this pays for them.
local COROUTINE_FUEL = 1200

local function create(f)
  if type(f) ~= "function" then expected(1, "create", "function", f) end
  charge(COROUTINE_FUEL)
  local thread = raw_create(f)
  sethook(thread, core.hook, core.hook_mask, core.hook_step)
  return thread
end

-- A host call of an inner coroutine is passed on outwards, and its reply inwards.
local function resumed(thread, ok, ...)
  if core.dead then stop() end
  if not ok then return false, examine((...)) end
  if rawequal((...), HOST) then
    look_back()
    return resumed(thread, raw_resume(thread, raw_yield(...)))
  end
  return true, ...
end

local function wrapped(thread, ok, ...)
  if core.dead then stop() end
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

local function resume(thread, ...)
  if type(thread) ~= "thread" then expected(1, "resume", "coroutine", thread) end
  return resumed(thread, raw_resume(thread, ...))
end

local function wrap(f)
  if type(f) ~= "function" then expected(1, "wrap", "function", f) end
  -- Leaves the to-be-closed variables of `f`, as the reference does.
  local thread = create(function(...) return passed(raw_xpcall(f, noticed, ...)) end)
  return function(...) return wrapped(thread, raw_resume(thread, ...)) end
end

local function yield(...)
  if raw_running() == core.main then library_error("attempt to yield from outside a coroutine") end
  look_back()
  return raw_yield(...)
end

local function running()
  local thread = raw_running()
  return thread, thread == core.main
end

local function isyieldable(thread)
  if thread == nil then thread = raw_running() end
  if type(thread) ~= "thread" then expected(1, "isyieldable", "coroutine", thread) end
  return thread ~= core.main and raw_isyieldable(thread)
end

return {
  coroutine = {
    create = create,
    isyieldable = isyieldable,
    resume = resume,
    running = running,
    status = raw_status,
    wrap = wrap,
    yield = yield,
  },
  pcall = pcall,
  xpcall = xpcall,
}
