-- input: {"fail": 2}
-- output: {"tries": 3, "log": ["busy 1", "busy 2"]}
function run(input)
  local log, tries = {}, 0
  local function attempt()
    tries = tries + 1
    if tries <= input.fail then error({code = 'busy', n = tries}) end
    return 'done'
  end
  repeat
    local ok, e = pcall(attempt)
    if not ok then log[#log + 1] = e.code .. ' ' .. e.n end
  until ok
  return {tries = tries, log = log}
end
