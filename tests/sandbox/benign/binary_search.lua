-- input: {"list": [1, 3, 5, 8, 13, 21], "for": [13, 4]}
-- output: [5, 0]
function run(input)
  local function find(list, x)
    local low, high = 1, #list
    while low <= high do
      local middle = (low + high) // 2
      if list[middle] == x then return middle elseif list[middle] < x then low = middle + 1 else high = middle - 1 end
    end
    return 0
  end
  local out = {}
  for i, x in ipairs(input['for']) do out[i] = find(input.list, x) end
  return out
end
