-- What each line of a script spends. Loaded for the execution that is to be told of.

local core = ...
local stop, FUEL_STEP = core.stop, core.FUEL_STEP
local error, next, raw_pcall, raw_setmetatable = core.error, core.next, core.pcall, core.setmetatable
local raw_running, match, concat, tointeger = core.coroutine.running, core.string.match, core.table.concat,
  core.math.tointeger

-- The profile is a mode of its own: there the hook is called for each instruction, line and return, and does for every
-- FUEL_STEP of a coroutine what it does otherwise. Lua counts the hook's own instructions too. It leaves no garbage, or the collector would run at other times than without a profile.
local HOOK_FUEL = 17
local instructions, charges, uncounted, overhead = {}, {}, 0, 0
-- What had been spent by the last instruction.
local paid_before = 0
local passed_of = raw_setmetatable({}, { __mode = "k" })
local counting_hook = core.hook

-- Where the script is, or was when it called us; 0 before it begins. After a return that has to be looked up.
local line_now, line_unknown = 0, false
-- The text that an error at a line begins with -> the line. Once such a text is there, making it again takes no memory.
local line_of = {}

local function paid() return core.fuel - core.fuel_of_input end

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
  if core.dead then stop() end
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
  if paid() ~= paid_before then
    charges[line_now] = (charges[line_now] or 0) + paid() - paid_before
    paid_before = paid()
  end
  uncounted = uncounted + 1
  local thread = raw_running()
  local passed = (passed_of[thread] or 0) + 1
  if passed == FUEL_STEP then
    uncounted = uncounted - FUEL_STEP
    paid_before = paid() + FUEL_STEP
    counting_hook()
    passed = HOOK_FUEL
    uncounted, overhead = uncounted + passed, overhead + passed
  end
  passed_of[thread] = passed
end

-- What was counted: fuel of the input, fuel of the output (or of what ended it), instructions of the script that no
-- FUEL_STEP holds, instructions of the hook that one holds; then lines "line instructions charges".
function core.tell()
  local rest = paid() - paid_before
  if core.dead and rest > 0 then
    local line = core.dead_line or 0
    instructions[line] = instructions[line] or 0
    charges[line] = (charges[line] or 0) + rest
    rest = 0
  end
  local told = {}
  for line, count in next, instructions do told[#told + 1] = line .. " " .. count .. " " .. (charges[line] or 0) end
  return concat({ core.fuel_of_input, rest, uncounted, overhead }, " ") .. "\n" .. concat(told, "\n")
end

core.hook, core.hook_mask, core.hook_step = profiling_hook, "lr", 1

return {}
