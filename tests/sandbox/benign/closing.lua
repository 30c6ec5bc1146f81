-- input: {"names": ["a", "b"]}
-- output: ["open a", "open b", "close b", "close a"]
function run(input)
  local log = {}
  local function open(name)
    log[#log + 1] = 'open ' .. name
    return setmetatable({}, {__close = function() log[#log + 1] = 'close ' .. name end})
  end
  do
    local first <close> = open(input.names[1])
    local second <close> = open(input.names[2])
  end
  return log
end
