-- technique: jumps back without an end; must: limit
function run(input)
  ::again::
  goto again
end
