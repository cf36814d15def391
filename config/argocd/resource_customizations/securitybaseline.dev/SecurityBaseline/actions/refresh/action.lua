-- A change of this annotation has the operator look at every namespace of the baseline anew, and at once: also at what it
-- would try again only later.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["securitybaseline.dev/resume-rollout"] = os.date("!%Y-%m-%dT%XZ")
return obj
